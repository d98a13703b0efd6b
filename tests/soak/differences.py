"""What was found wrong: a sentence, and both sides of it."""

from dataclasses import dataclass

_SHOWN_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`ours` is the gateway's side, `theirs` what it should agree with."""

    what: str
    ours: object
    theirs: object
    job_id: str | None = None

    def __str__(self) -> str:
        where = "" if self.job_id is None else f" (job {self.job_id})"
        return f"{self.what}{where}\n  here:  {_short(self.ours)}\n  there: {_short(self.theirs)}"


def _short(side: object) -> str:
    text = str(side)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} …"
