"""Parts go away and come back: nothing is lost, and nothing hangs."""

import json
from typing import Any

import pytest

from network.access_point.mail import MailRooms
from tests.support.network import INTERSECTION, LONG_REGRESSION, REGRESSION, WITHIN_S, RunningNetwork
from tests.support.processes import Family

FINAL = {"complete", "error", "cancelled", "killed", "denied"}


def test_a_job_outlives_a_restart_of_the_router(running_network: RunningNetwork) -> None:
    """Reports wait for the Router, and its epoch stays."""
    epoch = running_network.client("globex").get("/v1/me").json()["epoch"]
    job = running_network.run(REGRESSION)

    running_network.kill_router()
    running_network.start_router()

    assert running_network.reached(job["id"], FINAL)["market_status"] == "complete"
    assert running_network.client("globex").get("/v1/me").json()["epoch"] == epoch


@pytest.mark.parametrize("team", ["globex", "mercy"])
def test_a_restarted_access_point_owns_up_to_the_job_it_lost(running_network: RunningNetwork, team: str) -> None:
    job = running_network.run(LONG_REGRESSION)
    running_network.reached(job["id"], {"running"})

    with Family(running_network.job_pid(team, job["id"])) as calculating:
        running_network.kill_access_point(team)
        running_network.start_access_point(team)
        left_over = calculating.left_over(within_s=WITHIN_S)

    after = running_network.reached(job["id"], FINAL)
    assert (after["market_status"], after["error_code"]) == ("error", 1001)
    assert after["error"] == f"the Access Point of {team} was restarted while the job ran"
    lines = [json.loads(line) for line in running_network.stream(job["id"])]
    assert (lines[-2]["status"]["code"], lines[-1]["outcome"]) == (10, "error")
    assert left_over == []


def test_a_job_waits_for_an_access_point_that_is_away(running_network: RunningNetwork) -> None:
    job = running_network.submit(INTERSECTION)
    running_network.stop_access_point("mercy")

    running_network.accept_all(job)
    try:
        # Other Access Points may be on their way back from a restart of the Router: in the end one alone is waited for.
        running_network.changed(job["id"], _waits_for_mercy_alone)
    finally:
        running_network.start_access_point("mercy")

    assert running_network.reached(job["id"], FINAL)["market_status"] == "complete"


def _waits_for_mercy_alone(job: dict[str, Any]) -> bool:
    return [(place["team"], place["away_since"] is not None) for place in job["queue"]] == [("mercy", True)]


def test_what_the_parties_said_is_counted_until_the_end_is_told() -> None:
    """The initiator's own part is over when that comes, and those who died can report nothing."""
    rooms = MailRooms()
    rooms.open("job", senders={}, worker_token="worker").count("lakeside", 7)  # noqa: S106
    rooms.close("job")

    assert rooms.communications("job") == 7
    assert rooms.communications("another") == 0
