"""Where to look for jobs: SQL whose every part goes down one index in the order of lists, newest first."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.phases import BUCKETS, Bucket, Phase
from app.domain.ports import JobFilter
from app.store.numbers import PHASES, least_key, to_us

# How far the number of a row may be above that of its moment: so many jobs would have to be of one moment.
_NUMBERED_WITHIN = 2**40
_LAST = 2**63 - 1
# Of so many phases each is looked up in an index; of more, the row itself says.
_FEW_PHASES = 2
_BESIDE_LABELS = {"owner": "job_label_owned", "operation": "job_label_operated"}
# What the numbers of rows tell already.
_MOMENTS = ("from", "to")

_COMPLETE = frozenset({Phase.COMPLETE})
_IS_COMPLETE = (
    "NOT EXISTS (SELECT 1 FROM job INDEXED BY job_not_complete "
    f"WHERE key = way.key AND phase <> {PHASES[Phase.COMPLETE]})"
)

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
        """SELECT the `key` of those that fit, below `:below`."""
        return self._down((*self.where, *self.left))

    def looked_at(self, *, named: bool = False) -> str:
        """SELECT them whether they fit or not, with their `name` if need be."""
        return self._down(self.where, ", job.job_name AS name" if named else "")

    def _down(self, conditions: Sequence[str], more: str = "") -> str:
        where = " AND ".join((*conditions, f"{self.key} < :below"))
        return f"SELECT {self.key} AS key{more} FROM {self.source} WHERE {where}"


def together(selects: Sequence[str]) -> str:
    """The newest of what these find, so many as `:limit`; each is gone down no further than that needs."""
    return f"{' UNION ALL '.join(selects)} ORDER BY key DESC LIMIT :limit"


def parts(wanted: JobFilter) -> Sequence[Part]:
    """All the jobs that fit, its pattern and words apart, in parts that have none in common; nothing, where none can."""
    fields = _fields(wanted)
    driving = _driving(fields, wanted)
    part = _part(_SOURCES[driving], fields, *driving)
    if "phases" not in driving:
        return [part]
    each = (f"job.phase = {PHASES[phase]}" for phase in sorted(wanted.phases or ()))
    return [replace(part, where=(condition, *part.where[1:])) for condition in each]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to what is wanted, its pattern and words apart: rows, and what is looked up of each of them.

    `rows` SELECTs their `key`, below `:below`, so many as `:limit`; `source` has the job of such a row, and `name` is how
    its name is spelled.
    """

    rows: str
    name: str = "job.job_name"
    where: tuple[str, ...] = ()
    source: str = "job"


def ways(wanted: JobFilter) -> Sequence[Way]:
    """Each that there is; none, where no job can fit. Which is the shortest is not known before one has gone it."""
    fields = _fields(wanted)
    driving = _driving(fields, wanted)
    found = []
    if driving or not wanted.labels:
        some = parts(wanted)
        if not some:
            return []
        named = wanted.name_regex is not None
        rows = together([one.looked_at(named=named) for one in some])
        found.append(Way(rows=rows, name="way.name", where=_of_the_way(some[0].left)))
    found += (_by_label(wanted, number) for number in range(len(wanted.labels)))
    # One that leaves nothing to be looked up is the shortest.
    return [way for way in found if not way.where][:1] or found


def is_of_all(wanted: JobFilter) -> bool:
    """Whether nothing is wanted but moments."""
    return set(_fields(wanted)) <= {*_MOMENTS, "created_after", "created_before"}


def way_by(rows: str, wanted: JobFilter) -> Way:
    """Down something else that has the numbers of rows."""
    return _looked_up(rows, _fields(wanted), wanted)


def _by_label(wanted: JobFilter, number: int) -> Way:
    part, fields = _labelled(wanted, _fields(wanted), number)
    return _looked_up(together([part.looked_at()]), fields, wanted)


def _looked_up(rows: str, fields: Mapping[str, Sequence[str]], wanted: JobFilter) -> Way:
    """In the index that has most of what is wanted, and little else."""
    fields = {name: conditions for name, conditions in fields.items() if name not in _MOMENTS}
    driving = _driving(fields, wanted)
    if driving == ("phases",) and wanted.phases == _COMPLETE:
        fields["phases"], driving = [_IS_COMPLETE], ()
    is_of_many = "phases" in driving and len(wanted.phases or ()) > _FEW_PHASES
    part = _part(_SOURCES[() if is_of_many else driving], fields, *driving)
    return Way(rows=rows, where=_of_the_way((*part.where, *part.left)), source=part.source)


def _of_the_way(conditions: Sequence[str]) -> tuple[str, ...]:
    return tuple(one.replace("job.key", "way.key") for one in conditions)


def beginning(wanted: JobFilter, below: int) -> int:
    """Below which row the jobs begin that fit, if they are to be below another."""
    if wanted.created_before is None:
        return below
    return min(below, least_key(to_us(wanted.created_before)) + _NUMBERED_WITHIN)


def _driving(fields: Collection[str], wanted: JobFilter) -> tuple[str, ...]:
    """What is rarest, as a rule, of what has an index."""
    phases = ("phases",) if "phases" in fields else ()
    # Jobs that are not over are few, however many there are.
    is_rare = wanted.phases is not None and not wanted.phases & BUCKETS[Bucket.HISTORY]
    by = tuple(name for name in ("owner", "operation") if name in fields)
    if "id" in fields:
        return ("id",)
    if "name" in fields:
        return (*phases, "name")
    if phases and (is_rare or by in _ONE_OR_NONE):
        return (*phases, *by[:1])
    return by


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


def _labelled(
    wanted: JobFilter, fields: Mapping[str, Sequence[str]], number: int
) -> tuple[Part, Mapping[str, Sequence[str]]]:
    """Down one of the labels, with the owner or the operation if it has a value, and what that leaves to be looked up."""
    rest = {**fields, "labels": [one for at, one in enumerate(fields["labels"]) if at != number]}
    where, index = [f"first.name = :label_{number}"], "INDEXED BY job_label_named"
    if wanted.labels[number][1] is not None:
        where.append(f"first.value = :value_{number}")
        beside = next((name for name in _BESIDE_LABELS if name in rest), None)
        index = "NOT INDEXED" if beside is None else f"INDEXED BY {_BESIDE_LABELS[beside]}"
        where += (one.replace("job.", "first.") for one in rest.pop(beside or "", ()))
    part = _part(f"job_label AS first {index}", rest)
    key = "first.job_key"
    return replace(part, key=key, where=(*where, *(one.replace("job.key", key) for one in part.where))), rest


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
