"""The arguments every part takes."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PartArguments:
    """The part's own folder, and whether the end of standard input ends it."""

    folder: Path
    with_stdin: bool


def part_arguments() -> PartArguments:
    """As given on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stop-with-stdin", action="store_true")
    given = parser.parse_args()
    return PartArguments(folder=given.folder, with_stdin=given.stop_with_stdin)
