"""Why a job stands where it stands."""

import pytest
from msgspec.structs import replace

from app.domain.phases import Phase
from app.domain.why import WhyKind, message, why
from tests.support.news import NOON, PERMISSION, PLACE, job_in


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_a_sentence(phase: Phase) -> None:
    """A new phase without words would fail where a job is shown."""
    sentence = message(job_in(phase))

    assert sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (Phase.CREATED, WhyKind.NOT_SUBMITTED),
        (Phase.WAITING_ON_PERMISSION, WhyKind.PERMISSION),
        (Phase.WAITING_ON_QUEUE, WhyKind.QUEUE),
        (Phase.STOPPING, WhyKind.DECISION),
        (Phase.CANCELLED, WhyKind.DECISION),
        (Phase.KILLED, WhyKind.DECISION),
        (Phase.DENIED, WhyKind.DECISION),
        (Phase.ERROR, WhyKind.ERROR),
        (Phase.LOST, WhyKind.LOST),
        (Phase.STARTING, None),
        (Phase.IN_PROGRESS, None),
        (Phase.COMPLETE, None),
    ],
)
def test_what_does_not_run_says_why(phase: Phase, reason: WhyKind | None) -> None:
    """The third promise: the answer is data."""
    answer = why(job_in(phase))

    assert (answer.kind if answer else None) is reason


def test_a_missing_permission_is_named_with_its_owner() -> None:
    """So that a person knows whom to ask."""
    job = job_in(Phase.WAITING_ON_PERMISSION, waiting_on=(PERMISSION, replace(PERMISSION, asset="l/p", team="l")))

    assert message(job) == "Waiting on permission to use mercy/patients from mercy, l/p from l"
    assert why(job) is not None


def test_a_place_in_the_queue_is_told() -> None:
    """Waiting behind two jobs is another thing than waiting for somebody who is away."""
    job = job_in(Phase.WAITING_ON_QUEUE, queue=(PLACE, replace(PLACE, team="lakeside", away_since=NOON)))

    assert message(job) == (
        "Waiting in the queue: place 2 of 3 at mercy, "
        "the Access Point of lakeside is away since 2026-03-01 12:00:00 UTC"
    )


@pytest.mark.parametrize("phase", [Phase.CANCELLED, Phase.KILLED, Phase.DENIED])
def test_a_decision_carries_its_reason(phase: Phase) -> None:
    """Who said what."""
    job = job_in(phase, reason="mercy: not this one")

    assert message(job).endswith(": mercy: not this one")
    assert message(job_in(phase)) == phase.capitalize()


def test_a_message_is_one_line_whatever_was_said() -> None:
    """Lists are printed line by line."""
    assert message(job_in(Phase.DENIED, reason="mercy: not\nthis\x1bone")) == "Denied: mercy: not this one"


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.IN_PROGRESS])
def test_a_job_that_cannot_be_heard_is_no_longer_said_to_run(phase: Phase) -> None:
    """It may have ended long ago; since when one does not know is known."""
    reason = why(job_in(phase, upstream_lost_since=NOON))

    assert reason is not None
    assert (reason.kind, reason.since) == (WhyKind.UNKNOWN, NOON)
    assert "cannot be heard since 2026-03-01 12:00:00 UTC" in message(job_in(phase, upstream_lost_since=NOON))
    assert why(job_in(phase)) is None
