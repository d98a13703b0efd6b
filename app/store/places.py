"""Where to look for jobs: SQL whose every part goes down one index in the order of lists, newest first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.phases import BUCKETS, Bucket
from app.domain.ports import JobFilter
from app.store.numbers import PHASES, least_key, to_us

# How far the number of a row may be above that of its moment: so many jobs would have to be of one moment.
_NUMBERED_WITHIN = 2**40
_LAST = 2**63 - 1


# Down which index, by what drives.
_SOURCES: dict[tuple[str, ...], str] = {
    (): "job",
    ("id",): "job",
    ("name",): "job INDEXED BY job_named",
    ("owner",): "job INDEXED BY job_owned",
    ("operation",): "job INDEXED BY job_operated",
    ("owner", "operation"): "job INDEXED BY job_owned_operated",
    ("phases",): "job INDEXED BY job_in_phase",
    ("phases", "name"): "job INDEXED BY job_named_in_phase",
    ("phases", "owner"): "job INDEXED BY job_owned_in_phase",
    ("phases", "operation"): "job INDEXED BY job_operated_in_phase",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of jobs to be gone down: FROM what, WHERE what, and which conditions that leaves to be looked at, row by row.

    `key` is how the number of a row is spelled there.
    """

    source: str
    key: str = "job.key"
    where: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def fitting(self) -> str:
        """SELECT the `key` of the next of them that fit, below `:below`, so many as `:limit`."""
        return self._down("", (*self.where, *self.left))

    def looked_at(self, *more: str) -> str:
        """SELECT the next of them whether they fit or not: `key`, `job_name` and whether it `fits`, all in all."""
        fits = " AND ".join((*self.left, *more)) or "1"
        return self._down(f", job.job_name, ({fits}) AS fits", self.where)

    def _down(self, columns: str, conditions: Sequence[str]) -> str:
        where = " AND ".join((*conditions, f"{self.key} < :below"))
        return (
            f"SELECT {self.key} AS key{columns} FROM {self.source} WHERE {where} ORDER BY {self.key} DESC LIMIT :limit"
        )


def together(selects: Sequence[str]) -> str:
    """The next of what these find, so many as `:limit`."""
    if len(selects) == 1:
        return selects[0]
    united = " UNION ALL ".join(f"SELECT * FROM ({one})" for one in selects)
    return f"{united} ORDER BY key DESC LIMIT :limit"


def parts(wanted: JobFilter) -> Sequence[Part]:
    """All the jobs that fit, its pattern and words apart, in parts that have none in common."""
    fields = _fields(wanted)
    driving = _driving(wanted, fields)
    if driving is None:
        return [_labelled(wanted, fields)]
    part = _part(_SOURCES[driving], fields, *driving)
    if "phases" not in driving:
        return [part]
    each = (f"job.phase = {PHASES[phase]}" for phase in sorted(wanted.phases or ()))
    return [replace(part, where=(condition, *part.where[1:])) for condition in each]


def beginning(wanted: JobFilter, below: int) -> int:
    """Below which row the jobs begin that fit, if they are to be below another."""
    if wanted.created_before is None:
        return below
    return min(below, least_key(to_us(wanted.created_before)) + _NUMBERED_WITHIN)


def is_narrowed(wanted: JobFilter) -> bool:
    """Whether by something else than moments."""
    return _driving(wanted, _fields(wanted)) != ()


def _driving(wanted: JobFilter, fields: Collection[str]) -> tuple[str, ...] | None:
    """What is rarest, as a rule. None: a label."""
    phases = ("phases",) if "phases" in fields else ()
    # Jobs that are not over are few, however many there are.
    is_rare = wanted.phases is not None and not wanted.phases & BUCKETS[Bucket.HISTORY]
    by = tuple(name for name in ("owner", "operation") if name in fields)
    if "id" in fields:
        return ("id",)
    if "name" in fields:
        return (*phases, "name")
    if not is_rare and any(value is not None for _, value in wanted.labels):
        return None
    if phases and (is_rare or by in _ONE_OR_NONE):
        return (*phases, *by[:1])
    return by if by or not wanted.labels else None


_ONE_OR_NONE = ((), ("owner",), ("operation",))


def conditions(wanted: JobFilter) -> Sequence[str]:
    """All of them, for a row of `job` that was found in another way."""
    return [condition for several in _fields(wanted).values() for condition in several]


def values(wanted: JobFilter) -> dict[str, object]:
    """What stands in the conditions."""
    given: dict[str, object] = {"name": wanted.name, "operation": wanted.operation, "owner": wanted.owner}
    given["id"] = str(wanted.id)
    if wanted.created_after is not None:
        given["after_us"] = to_us(wanted.created_after)
        given["from_key"] = least_key(to_us(wanted.created_after))
    if wanted.created_before is not None:
        given["before_us"] = to_us(wanted.created_before)
        given["to_key"] = beginning(wanted, _LAST)
    for number, (name, value) in enumerate(wanted.labels):
        given[f"label_{number}"], given[f"value_{number}"] = name, value
    return given


def _part(source: str, fields: Mapping[str, Sequence[str]], *driving: str) -> Part:
    """What drives stands first; where a source has an index, it is that of what drives."""
    where = [condition for name in (*driving, "from", "to") for condition in fields.get(name, ())]
    used = {*driving, "from", "to"}
    left = [condition for name, conditions in fields.items() if name not in used for condition in conditions]
    return Part(source=source, where=tuple(where), left=tuple(left))


def _labelled(wanted: JobFilter, fields: Mapping[str, Sequence[str]]) -> Part:
    """Down a label that has a value, if any has. Operation and owner stand beside it."""
    first = next((number for number, (_, value) in enumerate(wanted.labels) if value is not None), 0)
    where = [f"first.name = :label_{first}"]
    index = "job_label_named"
    if wanted.labels[first][1] is not None:
        where.append(f"first.value = :value_{first}")
        index = ""
    rest = {**fields, "labels": [one for number, one in enumerate(fields["labels"]) if number != first]}
    if index == "":
        for name in ("owner", "operation"):
            rest[name] = [one.replace("job.", "first.") for one in fields.get(name, ())]
    hint = f" INDEXED BY {index}" if index else " NOT INDEXED"
    part = _part(f"job_label AS first{hint} CROSS JOIN job ON job.key = first.job_key", rest)
    key = "first.job_key"
    return replace(part, key=key, where=(*where, *(one.replace("job.key", key) for one in part.where)))


def _fields(wanted: JobFilter) -> dict[str, Sequence[str]]:
    """The conditions of each thing that is wanted."""
    fields: dict[str, Sequence[str]] = {}
    if wanted.id is not None:
        fields["id"] = ["job.job_id = :id"]
    if wanted.name is not None:
        fields["name"] = ["job.job_name = :name"]
    if wanted.phases is not None:
        # Numbers, and none of a caller's words.
        fields["phases"] = [f"job.phase IN ({', '.join(str(PHASES[phase]) for phase in sorted(wanted.phases))})"]
    if wanted.owner is not None:
        fields["owner"] = ["job.owner = :owner"]
    if wanted.operation is not None:
        fields["operation"] = ["job.operation = :operation"]
    if wanted.created_after is not None:
        fields["from"] = ["job.key >= :from_key"]
        fields["created_after"] = ["job.created_us >= :after_us"]
    if wanted.created_before is not None:
        fields["to"] = ["job.key < :to_key"]
        fields["created_before"] = ["job.created_us < :before_us"]
    if wanted.labels:
        fields["labels"] = [_has_label(number, value) for number, (_, value) in enumerate(wanted.labels)]
    return fields


def _has_label(number: int, value: str | None) -> str:
    of_value = "" if value is None else f" AND value = :value_{number}"
    return f"EXISTS (SELECT 1 FROM job_label WHERE job_key = job.key AND name = :label_{number}{of_value})"
