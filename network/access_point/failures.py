"""Why a job gave no result, as numbers a program can tell apart. The text never holds a row of data."""

from dataclasses import dataclass

RESTARTED = 1001
NOT_ACCEPTED = 1002
JOB_FAILED = 1003
UNEXPECTED = 1004
PROCESS_DIED = 1005
NOT_HELD = 1006


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is reported to the Router, and by it to the caller."""

    error: str
    error_code: int


def restarted(team: str) -> Failure:
    """The job's process went down with its Access Point."""
    return Failure(error=f"the Access Point of {team} was restarted while the job ran", error_code=RESTARTED)


def not_accepted(team: str, asset_id: str, *, why: str | None) -> Failure:
    """Asked to compute on something for which no acceptance is on record; `why` where an agreement was to be one."""
    text = f"the Access Point of {team} has no acceptance on record for asset {asset_id} and exactly this job"
    return Failure(error=text if why is None else f"{text}: {why}", error_code=NOT_ACCEPTED)


def not_held(team: str, asset_id: str) -> Failure:
    """Asked to compute on something that is not there."""
    return Failure(error=f"asset {asset_id} is not at the Access Point of {team}", error_code=NOT_HELD)


def not_run(team: str, exc: OSError) -> Failure:
    """The machine would not run the job's process."""
    text = f"the Access Point of {team} could not run the job: {exc.strerror or type(exc).__name__}"
    return Failure(error=text, error_code=UNEXPECTED)


def process_died(team: str, returncode: int) -> Failure:
    """The job's process ended without a word."""
    text = f"the job's process at {team} ended unexpectedly (exit code {returncode}); its log says more"
    return Failure(error=text, error_code=PROCESS_DIED)
