"""The command line: the whole network, or one part of it.

python -m network --data-dir DIR                      a Router and three Access Points
python -m network router --data-dir DIR               the Router alone
python -m network access-point TEAM --data-dir DIR    one Access Point alone

No secret is ever an argument: whoever may list processes reads those. A token goes to a file.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from network.provision import Wishes, provision
from network.settings import TEAMS
from network.supervisor import AlreadyRunning, supervise
from network.token_files import NotWritten, token_file


def main() -> int:
    """Run what the arguments ask for."""
    parser = _parser()
    given = parser.parse_args()
    if (given.part == "access-point") != (given.team is not None):
        parser.error("a team is named for an access-point, and only for one")
    if given.part is not None and given.token_file:
        parser.error("a --token-file is written by the whole network, not by one part")
    if len({file.path for file in given.token_file}) < len(given.token_file):
        parser.error("each --token-file needs a path of its own")
    if given.part is not None:
        _become_part(given)
    return _run_all(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m network", description="A Router and three Access Points.")
    parser.add_argument("part", nargs="?", choices=("router", "access-point"), help="only this part")
    parser.add_argument("team", nargs="?", choices=TEAMS, help="whose Access Point")
    parser.add_argument("--data-dir", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the Router's; the Access Points take the next three (default: free)")
    parser.add_argument(
        "--public-url", type=_scheme_and_host, help="scheme and host under which clients reach the ports"
    )
    parser.add_argument(
        "--token-file",
        type=token_file,
        action="append",
        default=[],
        metavar="TEAM=PATH",
        help="write the token of the team's owner to this file before the network is ready; repeatable",
    )
    parser.add_argument("--slots", type=int, default=2, help="jobs at a time at each Access Point")
    parser.add_argument("--stop-with-stdin", action="store_true", help="leave when standard input ends")
    return parser


def _scheme_and_host(text: str) -> str:
    base = urlsplit(text)
    if base.scheme not in {"http", "https"} or not base.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not scheme and host; write http://HOST.")
    return text


def _run_all(given: argparse.Namespace) -> int:
    try:
        asyncio.run(supervise(given.data_dir.resolve(), _wishes(given), with_stdin=given.stop_with_stdin))
    except (AlreadyRunning, NotWritten) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _become_part(given: argparse.Namespace) -> None:
    data_dir = given.data_dir.resolve()
    name = given.team or "router"
    if not (data_dir / name / "config.json").exists():
        provision(data_dir, _wishes(given))
    module = "network.router" if given.team is None else "network.access_point"
    stop = ["--stop-with-stdin"] if given.stop_with_stdin else []
    os.execv(sys.executable, [sys.executable, "-m", module, str(data_dir / name), *stop])  # noqa: S606  # ourselves


def _wishes(given: argparse.Namespace) -> Wishes:
    return Wishes(
        host=given.host,
        port=given.port,
        public_url=given.public_url,
        slots=given.slots,
        token_files=tuple(given.token_file),
    )


if __name__ == "__main__":
    sys.exit(main())
