"""What a list is asked for: each filter alone, and those that are used together, with what is common, rare and absent."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from random import Random
from urllib.parse import urlencode

from benchmarks._cast import OPERATIONS, OWNERS, PROJECTS, RARE_NAMES, RARE_OPERATION, VISITORS

Words = tuple[tuple[str, str], ...]

# Of each, what many have, what few have, and what none has.
_OWNERS = (*OWNERS[:2], OWNERS[9], OWNERS[-1], VISITORS[0], "nobody@globex")
_OPERATIONS = (*OPERATIONS, RARE_OPERATION, "NO_SUCH_THING")
_PHASES = ("created", "waiting_on_permission", "in_progress", "lost", "complete", "error", "killed", "denied")
_BUCKETS = ("waiting", "active", "history")
_NAMES = (
    "nightly project-05 scores",
    "nightly project-03 overlap",
    "trial-obsidian-moth",
    RARE_NAMES[0],
    "no such name",
)
_PATTERNS = (
    "trial-amber",
    "^nightly.*scores$",
    "obsidian-m[aeiou]th$",
    "(?i)LIGHTHOUSE",
    "audit|zebrafish",
    "trial-[a-z]+-4[0-9]*7$",
    "no such name",
)
_QUERIES = (
    "trial",
    "REGRESSION",
    "nightly scores",
    "ridge amber",
    '"quarterly audit"',
    "obsid*",
    "0xfeedface",
    "memory batches",
    "nosuchword",
    "trial nosuchword",
)
_RANGES: tuple[Words, ...] = (
    (("created_after", "2024-02-05T00:00:00Z"), ("created_before", "2024-02-06T00:00:00Z")),
    (("created_after", "2023-09-01T00:00:00Z"), ("created_before", "2023-12-01T00:00:00Z")),
    (("created_after", "2025-11-01T00:00:00Z"),),
    (("created_before", "2023-07-01T00:00:00Z"),),
    (("created_after", "2099-01-01T00:00:00Z"),),
)
_PAIRS = (
    ("owner", "phase"),
    ("owner", "job_status"),
    ("operation", "phase"),
    ("operation", "job_status"),
    ("owner", "operation"),
    ("label", "job_status"),
    ("label", "owner"),
    ("label", "operation"),
    ("name", "phase"),
    ("q", "phase"),
    ("q", "owner"),
    ("name_regex", "owner"),
)
_AT_MOST = 400


def questions(file: Path) -> Mapping[str, Sequence[str]]:
    """The targets to be asked for, in a mixed order, by what they have in common."""
    alone = _alone(file)
    asked = dict(alone)
    asked |= {" + ".join(pair): _together(alone[pair[0]], alone[pair[1]]) for pair in _PAIRS}
    asked |= {f"created + {name}": _together(_RANGES, values) for name, values in alone.items() if name != "created"}
    mix = Random(1)  # noqa: S311  (the same at every run)
    return {name: _mixed(words, mix) for name, words in asked.items()}


def _alone(file: Path) -> dict[str, Sequence[Words]]:
    ids, runs = _some(file, "SELECT job_id FROM job"), _some(file, "SELECT value FROM job_label WHERE name = 'run'")
    projects = [f"project={project}" for project in (*PROJECTS[::3], PROJECTS[4], "project-99")]
    labels = (*projects, *(f"run={run}" for run in runs), "run=none", "run", "nothing")
    return {
        "owner": _each("owner", _OWNERS),
        "operation": _each("operation", _OPERATIONS),
        "phase": (*_each("phase", _PHASES), (("phase", "error"), ("phase", "killed"))),
        "job_status": _each("job_status", _BUCKETS),
        "label": _each("label", labels),
        "name": _each("name", _NAMES),
        "id": _each("id", (*ids, "00000000-0000-4000-8000-000000000000")),
        "created": _RANGES,
        "q": _each("q", _QUERIES),
        "name_regex": _each("name_regex", _PATTERNS),
    }


def _each(name: str, values: Iterable[str]) -> Sequence[Words]:
    return tuple(((name, value),) for value in values)


def _together(some: Iterable[Words], others: Iterable[Words]) -> Sequence[Words]:
    return tuple(one + other for one, other in product(some, others))


def _mixed(asked: Sequence[Words], mix: Random) -> Sequence[str]:
    targets = [f"/v1/jobs?{urlencode(words)}" for words in asked]
    mix.shuffle(targets)
    return targets[:_AT_MOST]


def _some(file: Path, sql: str) -> Iterator[str]:
    connection = sqlite3.connect(file)
    found = connection.execute(f"{sql} LIMIT 1000").fetchall()
    connection.close()
    return iter([value for (value,) in found[::400]])
