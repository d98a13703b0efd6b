"""A kill is told as it comes to take effect: what each Access Point answered, and when."""

import json
import os
import signal
from typing import Any

import pytest

from tests.support.network import INTERSECTION, LONG_REGRESSION, REGRESSION, TEAMS, RunningNetwork

MEMBER = {"user": "member@globex", "team": "globex", "client_ref": None}
OWNER = {"user": "owner@globex", "team": "globex", "client_ref": None}


def test_each_answer_to_a_kill_is_a_change_and_the_last_comes_with_the_end(running_network: RunningNetwork) -> None:
    job = _running(running_network)

    asked = running_network.act(job["id"], "kill")["stop"]

    told = _told(running_network, job)
    assert [step["market_status"] for step in told] == ["stopping"] * 6 + ["killed"]
    first, last = told[0]["stop"], told[-1]["stop"]
    assert first["answers"] == [{"team": team, "answer": "unknown", "when": first["since"]} for team in sorted(TEAMS)]
    assert (last["wanted"], last["since"]) == (asked["wanted"], asked["since"]) == ("kill", first["since"])
    for team in TEAMS:
        assert _answers_of(team, told) == ["unknown", "acknowledged", "done"]


def test_an_access_point_that_does_not_stir_is_unknown_until_it_has_ended_its_part(
    running_network: RunningNetwork,
) -> None:
    job = _running(running_network)

    with running_network.paused("mercy"):
        since = running_network.act(job["id"], "kill")["stop"]["since"]
        partly = running_network.changed(job["id"], lambda told: _all_but_mercy(told) == {"done"})
        assert partly["market_status"] == "stopping"
        assert [one for one in partly["stop"]["answers"] if one["team"] == "mercy"] == [
            {"team": "mercy", "answer": "unknown", "when": since}
        ]

    killed = running_network.reached(job["id"], {"killed"})
    assert {one["answer"] for one in killed["stop"]["answers"]} == {"done"}
    assert (killed["actor"], killed["stop"]["since"]) == (OWNER, since)


def test_a_second_kill_changes_nothing(running_network: RunningNetwork) -> None:
    """Neither while the first takes effect nor afterwards: one effect, one stop, whoever asked first."""
    job = _running(running_network)
    member = running_network.user_client("member@globex")

    with running_network.paused("mercy"):
        member.post(f"/v1/jobs/{job['id']}/kill", json={"reason": "too slow"})
        stopping = running_network.changed(job["id"], lambda told: _all_but_mercy(told) == {"done"})
        assert running_network.act(job["id"], "kill") | {"stream": None} == stopping
    killed = running_network.reached(job["id"], {"killed"})

    assert running_network.act(job["id"], "kill") | {"stream": None} == killed
    assert [(step["actor"], step["reason"]) for step in (stopping, killed)] == [(MEMBER, "member@globex: too slow")] * 2
    assert stopping["stop"]["since"] == killed["stop"]["since"]


def test_a_party_that_ends_by_itself_while_a_kill_waits_for_it_is_done(running_network: RunningNetwork) -> None:
    job = _running(running_network)
    try:
        with running_network.paused("mercy"):
            running_network.act(job["id"], "kill")
            running_network.kill_access_point("mercy")
    finally:
        running_network.start_access_point("mercy")

    told = _told(running_network, job)

    assert (told[-1]["market_status"], told[-1]["error"]) == ("killed", "")
    assert _answers_of("mercy", told) == ["unknown", "done"]


def test_a_cancel_of_a_job_that_calculates_is_refused_for_each_access_point(running_network: RunningNetwork) -> None:
    job = _running(running_network)

    refused = running_network.client("globex").post(f"/v1/jobs/{job['id']}/cancel")

    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["market_status"]) == (409, "job-not-pending", "running")
    assert [(one["team"], one["answer"]) for one in error["answers"]] == [(team, "refused") for team in sorted(TEAMS)]
    assert all(one["when"] > job["started"] for one in error["answers"])
    assert running_network.job(job["id"])["stop"] is None

    running_network.act(job["id"], "kill")
    running_network.reached(job["id"], {"killed"})


def test_what_a_failed_party_takes_down_was_stopped_by_nobody(running_network: RunningNetwork) -> None:
    """The others are ended too, but no one asked for that."""
    job = _running(running_network)

    os.killpg(running_network.job_pid("mercy", job["id"]), signal.SIGKILL)

    failed = running_network.reached(job["id"], {"error"})
    assert (failed["actor"], failed["stop"]) == (None, None)
    # Once a later job runs in their place, the others have told that they are gone.
    later = running_network.act(_running(running_network)["id"], "kill")
    running_network.reached(later["id"], {"killed"})
    assert running_network.job(job["id"])["sequence"] == failed["sequence"]


@pytest.mark.parametrize("team", ["globex", "lakeside"])
def test_the_first_line_of_the_changes_alone_tells_how_far_they_go(running_network: RunningNetwork, team: str) -> None:
    """As far as this team sees: what happens among others is not waited for."""
    seen_by_all = running_network.job(running_network.create(REGRESSION))
    running_network.create(INTERSECTION)  # not by lakeside

    first, *rest = _lines_up_to_a_sign_of_life(running_network, team, after=0)

    assert (set(first), first["sequence"]) == ({"epoch", "sequence", "head"}, 0)
    assert first["head"] >= seen_by_all["sequence"]
    assert first["head"] in [line["sequence"] for line in rest if "job" in line]
    assert all("head" not in line for line in rest)


def test_who_has_read_up_to_the_head_is_told_that_nothing_is_newer(running_network: RunningNetwork) -> None:
    running_network.create(INTERSECTION)
    place = _lines_up_to_a_sign_of_life(running_network, "globex", after=0)[0]["head"]

    first, *rest = _lines_up_to_a_sign_of_life(running_network, "globex", after=place)

    assert first["sequence"] == place
    assert first["head"] in [place, *(line["sequence"] for line in rest)]


def _running(network: RunningNetwork) -> dict[str, Any]:
    job = network.run(LONG_REGRESSION)
    return network.reached(job["id"], {"running"})


def _told(network: RunningNetwork, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents of the job after this one, up to the one that says it was killed."""
    told: list[dict[str, Any]] = []

    def keep(document: dict[str, Any]) -> bool:
        if document["sequence"] > job["sequence"]:
            told.append(document)
        return bool(document["market_status"] == "killed")

    network.changed(job["id"], keep)
    return told


def _answers_of(team: str, told: list[dict[str, Any]]) -> list[str]:
    """What the team's Access Point is said to have answered, each once, in the order it was told."""
    answers = (one["answer"] for step in told for one in step["stop"]["answers"] if one["team"] == team)
    return list(dict.fromkeys(answers))


def _all_but_mercy(told: dict[str, Any]) -> set[str]:
    answers = (told["stop"] or {"answers": []})["answers"]
    return {one["answer"] for one in answers if one["team"] != "mercy"}


def _lines_up_to_a_sign_of_life(network: RunningNetwork, team: str, *, after: int) -> list[dict[str, Any]]:
    place = {"epoch": network.client(team).get("/v1/me").json()["epoch"], "after": after}
    lines: list[dict[str, Any]] = []
    with network.client(team).stream("GET", "/v1/changes", params=place) as feed:
        for line in feed.iter_lines():
            lines.append(json.loads(line))
            if len(lines) > 1 and "job" not in lines[-1]:
                return lines
    raise AssertionError("the changes feed ended")
