"""`python -m tests.soak --minutes 10 --jobs 30 --viewers 50`: exit code 0 when both sides' records agree, else 1."""

import argparse
import asyncio
import secrets
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.soak.course import Outcome, Wanted, soak

_REST_MINUTES = 4
_SHOWN_AT_MOST = 30


def main() -> int:
    """Soak, and say what came out."""
    wanted = _wanted()
    _tell(f"seed {wanted.seed}: {wanted.minutes:g} minutes, {wanted.jobs} jobs, {wanted.viewers} viewers")
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        outcome = asyncio.run(_bounded(wanted, folder))
    except TimeoutError:
        _tell(f"it did not come to its end in {wanted.minutes + _REST_MINUTES:g} minutes; see {folder}")
        return 1
    _show(outcome)
    if outcome.differences:
        (folder / "faults.txt").write_text("".join(f"{fault}\n" for fault in outcome.faults))
        _tell(f"everything is kept in {folder}; seed {wanted.seed}")
        return 1
    shutil.rmtree(folder)
    return 0


def _wanted() -> Wanted:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long faults are made")
    parser.add_argument("--jobs", type=int, default=30, help="how many jobs there are")
    parser.add_argument("--viewers", type=int, default=50, help="how many watch")
    parser.add_argument("--seed", type=int, help="of an earlier soak, to throw the same dice (default: a new one)")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    return Wanted(minutes=given.minutes, jobs=given.jobs, viewers=given.viewers, seed=seed)


async def _bounded(wanted: Wanted, folder: Path) -> Outcome:
    soaking = asyncio.current_task()
    assert soaking is not None
    # As for Ctrl-C: what was started is ended before we are.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, soaking.cancel)
    async with asyncio.timeout(60 * (wanted.minutes + _REST_MINUTES)):
        return await soak(wanted, folder, tell=_tell)


def _show(outcome: Outcome) -> None:
    _write(f"\n{'compared':60} {'rows':>8} {'differences':>12}")
    for one in outcome.compared:
        _write(f"{one.what:60} {one.rows:8} {len(one.differences):12}")
    shown = outcome.differences[:_SHOWN_AT_MOST]
    for difference in shown:
        _write(f"\n{difference}")
    for job_id in dict.fromkeys(difference.job_id for difference in shown):
        for fault in outcome.faults_of(job_id):
            _write(f"job {job_id} lived through: {fault}")
    if len(outcome.differences) > _SHOWN_AT_MOST:
        _write(f"\nand {len(outcome.differences) - _SHOWN_AT_MOST} more")


def _tell(line: str) -> None:
    _write(f"{datetime.now(UTC):%H:%M:%S} {line}")


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
