"""PRIVATE_SET_INTERSECTION: the plain intersection, and nothing more, for the one who asks."""

import json
from collections.abc import Sequence

import pyarrow as pa
import pytest

from network.protocols.party import JobFailed
from tests.support.parties import FakeJob, Input

pytest.importorskip("private_set_intersection", reason="openmined-psi has no wheel here")
protocol = pytest.importorskip("network.protocols.private_set_intersection")

PATIENTS = ("globex/patients", "mercy/patients")


def ready_made() -> FakeJob:
    return FakeJob(inputs=[Input.ready_made(alias) for alias in PATIENTS])


def holding(team: str, values: Sequence[object] | pa.Array, *, name: str = "patient_id") -> Input:
    return Input(team=team, table=pa.table({name: pa.array(values)}), roles={name: "identifier"})


def matched(job: FakeJob) -> list[object]:
    asset_id = job.run(protocol.run).asset_id
    assert asset_id is not None
    table = job.tables[asset_id]
    assert table.num_columns == 1
    return list(table.column(0).to_pylist())


def test_the_result_is_the_plain_intersection_in_the_order_of_the_askers_table() -> None:
    """Raw comparison has no false positives, so that it is equal and not nearly so."""
    job = ready_made()
    ours, theirs = (given.table["patient_id"].to_pylist() for given in job.inputs)

    found = matched(job)

    assert found == [value for value in ours if value in set(theirs)]
    assert 100 < len(found) < len(ours)


def test_the_asker_may_give_its_table_second() -> None:
    """The order of the datasets is the caller's."""
    job = ready_made()
    turned = FakeJob(inputs=job.inputs[::-1])

    assert matched(turned) == matched(job)


def test_the_table_compared_against_is_counted() -> None:
    """hash_table_size is the number of the other team's distinct identifiers."""
    job = ready_made()

    outcome = job.run(protocol.run)

    assert job.messages == [{"__type": "PSIMetrics", "hash_table_size": 420}]
    assert json.loads(outcome.raw_status) == {
        "operation": "PRIVATE_SET_INTERSECTION",
        "compared": 310,
        "matched": 137,
        "hash_table_size": 420,
    }


def test_no_identifier_is_in_any_payload() -> None:
    """Not even one that matches: both sides see encrypted points only."""
    job = ready_made()
    job.run(protocol.run)
    everything = b"\n".join(sent.payload for sent in job.post.transcript)

    names = {name for given in job.inputs for name in given.table["patient_id"].to_pylist()}

    assert not [name for name in names if name.encode() in everything]


def test_the_answering_team_gets_one_message_whose_size_tells_a_count_only() -> None:
    """It learns how many identifiers are compared, and nothing about the result."""
    job = ready_made()
    job.run(protocol.run)

    assert [sent.topic for sent in job.post.transcript if sent.receiver == "mercy"] == ["psi-request"]


def test_the_same_request_twice_shares_nothing() -> None:
    """Keys are fresh for each job: two jobs cannot be laid side by side."""
    requests = []
    for _ in range(2):
        job = FakeJob(inputs=[holding("globex", ["a"]), holding("mercy", ["a"])])
        job.run(protocol.run)
        requests += job.sent(sender="globex", receiver="mercy", topic="psi-request")

    assert requests[0] != requests[1]


def test_repeated_and_missing_identifiers_count_once_and_not_at_all() -> None:
    """A missing one is unknown and matches nothing, not even another missing one."""
    ours = holding("globex", ["b", None, "a", "b", "c"])
    theirs = holding("mercy", ["b", "b", None, "d", "c"])

    assert matched(FakeJob(inputs=[ours, theirs])) == ["b", "c"]


def test_whole_numbers_match_text_and_keep_their_type() -> None:
    """What one team keeps as a number another may keep as text."""
    job = FakeJob(inputs=[holding("globex", [7, 8]), holding("mercy", ["8", "08"])])

    assert matched(job) == [8]


def test_the_columns_may_have_two_names() -> None:
    """In the order of the datasets."""
    inputs = [holding("globex", ["x", "y"]), holding("mercy", ["y"], name="person")]
    job = FakeJob(inputs=inputs, params={"match_column": ["patient_id", "person"]})

    assert matched(job) == ["y"]


@pytest.mark.parametrize(("ours", "theirs"), [([], ["a"]), (["a"], []), (["a"], ["b"])])
def test_nothing_in_common_is_an_empty_table(ours: list[str], theirs: list[str]) -> None:
    """It is an answer and no failure."""
    job = FakeJob(
        inputs=[holding(team, pa.array(own, pa.string())) for team, own in (("globex", ours), ("mercy", theirs))]
    )

    assert matched(job) == []


def test_a_column_that_is_not_there_is_named() -> None:
    """With the team that lacks it."""
    job = FakeJob(inputs=[holding("globex", ["a"]), holding("mercy", ["a"], name="person")])

    with pytest.raises(JobFailed, match="the table of mercy has no column 'patient_id'"):
        job.run(protocol.run)


def test_a_column_of_fractions_is_refused() -> None:
    """Equal fractions need not be the same text."""
    job = FakeJob(inputs=[holding("globex", [1.5]), holding("mercy", ["1.5"])])

    with pytest.raises(JobFailed, match="holds double; text or whole numbers"):
        job.run(protocol.run)


def test_a_team_that_is_neither_side_gets_no_answer() -> None:
    """The Router has checked this; the Access Points check again."""
    job = FakeJob(inputs=[holding("lakeside", ["a"]), holding("mercy", ["a"])])

    with pytest.raises(JobFailed, match="a table of the team that starts the job"):
        job.run(protocol.run)
