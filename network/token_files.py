"""A team's token in a file of its own, for a program that must not read `network.json`: one in another container, say."""

from argparse import ArgumentTypeError
from dataclasses import dataclass
from pathlib import Path

from network.settings import TEAMS, write_private


class NotWritten(Exception):
    """A token file could not be put in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """Whose token goes where."""

    team: str
    path: Path

    def write(self, token: str) -> None:
        """The token and nothing else, not even a line's end: every byte of the file belongs to it."""
        try:
            write_private(self.path, token)
        except OSError as exc:
            raise NotWritten(f"The token of {self.team} cannot be written to {self.path}: {exc.strerror}.") from exc


def token_file(text: str) -> TokenFile:
    """The option's `TEAM=PATH`; refused where no file could come of it."""
    team, _, path = text.partition("=")
    if not path:
        raise ArgumentTypeError(f"{text!r} names no file; write TEAM=PATH.")
    if team not in TEAMS:
        raise ArgumentTypeError(f"There is no team {team!r}; name one of {', '.join(TEAMS)}.")
    wanted = Path(path).absolute()
    if not _is_folder(wanted.parent):
        raise ArgumentTypeError(f"{wanted.parent} is no folder that can be entered; make it first.")
    if _is_folder(wanted):
        raise ArgumentTypeError(f"{wanted} is a folder; name a file in it.")
    return TokenFile(team=team, path=wanted)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
