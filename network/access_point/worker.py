"""The process that runs one job at one Access Point: `python -m network.access_point.worker`.

Its task comes as one line on standard input, which stays open for as long as the Access Point lives. What it has to say
goes out as lines on standard output, a verb and JSON; whatever else is printed goes to the Access Point's log.
"""

import importlib
import logging
import os
import signal
import sys
import traceback
from typing import BinaryIO

import msgspec

from network import lifeline
from network.access_point import failures
from network.access_point.failures import Failure
from network.access_point.party import LocalParty
from network.access_point.post import Post
from network.access_point.tasks import Task
from network.protocols.party import JobFailed, Outcome, Party


def main() -> int:
    """Run the task; 0 when it had an outcome."""
    out = _own_output()
    task = Task.model_validate_json(sys.stdin.buffer.readline())
    lifeline.watch(_die_with_all_children)
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s worker job={task.job_id} %(message)s")
    post = Post(task)
    party = LocalParty(task, post=post, out=out)
    try:
        outcome = _run(task.module, party)
    except JobFailed as exc:
        return _fail(party, post, Failure(error=str(exc), error_code=failures.JOB_FAILED))
    except Exception as exc:  # noqa: BLE001  # whatever a protocol raises ends its job, and only its name may leave
        traceback.print_exc()
        text = f"{type(exc).__name__} at {task.me}; details are in the log of its Access Point"
        return _fail(party, post, Failure(error=text, error_code=failures.UNEXPECTED))
    return _succeed(party, post, outcome)


def _own_output() -> BinaryIO:
    # A library that prints would otherwise speak in our place.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _run(module: str, party: Party) -> Outcome:
    outcome: Outcome = importlib.import_module(module).run(party)
    return outcome


def _die_with_all_children() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _succeed(party: LocalParty, post: Post, outcome: Outcome) -> int:
    asset_id = None if outcome.asset_id is None else str(outcome.asset_id)
    result = {"raw_status": outcome.raw_status, "asset_id": asset_id}
    content = {"result": result, "made": party.made, "communications": post.total}
    party.say("outcome", msgspec.json.encode(content))
    return 0


def _fail(party: LocalParty, post: Post, failure: Failure) -> int:
    content = {"error": failure.error, "error_code": failure.error_code, "communications": post.total}
    party.say("failed", msgspec.json.encode(content))
    return 1


if __name__ == "__main__":
    sys.exit(main())
