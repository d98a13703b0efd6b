"""Secure sums: masks cancel exactly, hide completely, and are never used twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network.protocols.aggregation.fixed_point import Reals, decode, encode
from network.protocols.aggregation.masks import Masks
from network.protocols.aggregation.secure_sum import Contributor, collect
from network.protocols.party import JobFailed, Outcome, Party
from tests.support.parties import FakeJob, Input

RESOLUTION = 2.0**-44
TEAMS = ("ash", "birch", "cedar", "date", "elm")

in_range = st.floats(min_value=-(2.0**51), max_value=2.0**51)
lists_of_numbers = st.lists(in_range, min_size=1, max_size=20)


@given(lists_of_numbers)
def test_a_number_comes_back_as_the_nearest_step(values: list[float]) -> None:
    """Large numbers have floats coarser than the step and come back unchanged, small ones within half a step."""
    numbers = np.array(values)

    returned = decode(encode(numbers, summands=2))

    assert (np.abs(returned - numbers) <= RESOLUTION / 2).all()


@given(st.lists(st.lists(in_range, min_size=3, max_size=3), min_size=2, max_size=5))
def test_the_sum_of_encoded_numbers_is_the_encoded_sum(rows: list[list[float]]) -> None:
    """Wrapping of the fine word must be undone wherever the sum lies."""
    numbers = np.array(rows)

    total = np.stack([encode(row, summands=5) for row in numbers]).sum(axis=0)

    exact = numbers.sum(axis=0)
    rounding = len(rows) * (RESOLUTION / 2 + np.spacing(np.abs(numbers).sum(axis=0)))
    assert (np.abs(decode(total) - exact) <= rounding).all()


@pytest.mark.parametrize("value", [2.0**53, -(2.0**60), 1e300, np.inf, -np.inf, np.nan])
def test_what_does_not_fit_is_refused_and_not_told(value: float) -> None:
    """A silent wrap would be a wrong result; the number itself is the owner's secret."""
    with pytest.raises(JobFailed) as refusal:
        encode(np.array([1.0, value]), summands=2)

    assert str(value) not in str(refusal.value)


def masks_of(owners: int) -> list[Masks]:
    teams = TEAMS[:owners]
    return [Masks(me, {peer: key_of(me, peer) for peer in teams if peer != me}) for me in teams]


def key_of(*pair: str) -> bytes:
    return "".join(sorted(pair)).ljust(32).encode()


@given(owners=st.integers(2, 5), sizes=st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_the_masks_of_a_round_add_up_to_zero(owners: int, sizes: list[int]) -> None:
    """Exactly, in every word and every round: the ring has no rounding."""
    masks = masks_of(owners)

    for number, size in enumerate(sizes):
        total = np.sum([mask.next(f"topic {number}", size=size) for mask in masks], axis=0, dtype=np.uint64)
        assert not total.any()


def test_no_word_of_a_mask_is_ever_used_again() -> None:
    """The same mask twice gives away the difference of what it hid, even under the same topic and size."""
    masks = masks_of(3)[0]

    words = np.concatenate([masks.next(topic, size=500) for topic in ("sums", "sums", "spread", "sums")])

    assert len(np.unique(words)) == len(words)


def job_of(values: dict[str, list[Reals]]) -> FakeJob:
    return FakeJob(inputs=[Input.drawn(team) for team in values])


def sums_of(job: FakeJob, values: dict[str, list[Reals]]) -> list[Reals]:
    """What the initiator gathers, a round for each of the values."""
    owners = sorted(values)
    gathered: list[Reals] = []

    def protocol(party: Party) -> Outcome:
        if party.me == party.initiator:
            gathered.extend(collect(party, owners, topic="sums", size=len(value)) for value in values[owners[0]])
        else:
            contributor = Contributor(party, owners)
            for value in values[party.me]:
                contributor.contribute("sums", value)
        return Outcome(raw_status="")

    job.run(protocol)
    return gathered


@settings(max_examples=15, deadline=None)
@given(
    owners=st.integers(2, 5),
    rounds=st.lists(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6), min_size=1, max_size=3),
)
def test_the_initiator_gets_the_sum_over_any_number_of_owners(owners: int, rounds: list[list[float]]) -> None:
    """Whatever the shapes, values and number of rounds."""
    values = {team: [np.array(row) * (place + 1) for row in rounds] for place, team in enumerate(TEAMS[:owners])}
    job = job_of(values)

    gathered = sums_of(job, values)

    factor = owners * (owners + 1) / 2
    for total, row in zip(gathered, rounds, strict=True):
        np.testing.assert_allclose(total, np.array(row) * factor, rtol=1e-14, atol=owners * RESOLUTION)


def test_what_one_owner_sends_is_not_its_part_and_changes_from_run_to_run() -> None:
    """One payload alone must say nothing: neither the encoded part, nor anything that repeats."""
    values = {"ash": [np.array([1.0, 2.0, 3.0])], "birch": [np.array([10.0, 20.0, 30.0])]}
    jobs = [job_of(values) for _ in range(2)]

    for job in jobs:
        assert sums_of(job, values)[0].tolist() == [11.0, 22.0, 33.0]

    first, again = (job.sent(sender="ash", receiver="globex", topic="sums")[0] for job in jobs)
    plain = encode(values["ash"][0], summands=2)
    seen = np.frombuffer(first, dtype="<u8").reshape(2, 3)
    assert not (seen == plain).any()
    assert not (seen == np.frombuffer(again, dtype="<u8").reshape(2, 3)).any()


def test_one_round_masked_twice_shows_no_repeated_word() -> None:
    """The same values round after round would show, were a mask used twice."""
    values = {team: [np.zeros(50)] * 4 for team in TEAMS[:2]}
    job = job_of(values)

    sums_of(job, values)

    words = np.frombuffer(b"".join(job.sent(sender="ash", receiver="globex", topic="sums")), dtype="<u8")
    assert len(np.unique(words)) == len(words)


def test_keys_go_from_owner_to_owner_and_never_through_the_initiator() -> None:
    """Whoever sees both public keys and can replace them could take every mask off."""
    values = {team: [np.zeros(1)] for team in TEAMS[:4]}
    job = job_of(values)

    sums_of(job, values)

    keys = [sent for sent in job.post.transcript if sent.topic == "public-key"]
    assert len(keys) == 4 * 3
    assert all(job.initiator not in {sent.sender, sent.receiver} for sent in keys)


def test_each_job_has_fresh_keys() -> None:
    """A key that lives longer than a job would let one job's masks be told from another's."""
    values = {team: [np.zeros(1)] for team in TEAMS[:2]}
    keys = set()
    for _ in range(3):
        job = job_of(values)
        sums_of(job, values)
        keys |= set(job.sent(sender="ash", receiver="birch", topic="public-key"))

    assert len(keys) == 3


def test_a_public_key_of_small_order_ends_the_job() -> None:
    """It would make the shared secret known to everybody."""

    def protocol(party: Party) -> Outcome:
        if party.me == "ash":
            party.send("birch", "public-key", bytes(32))
        elif party.me == "birch":
            Contributor(party, ["ash", "birch"])
        return Outcome(raw_status="")

    job = FakeJob(inputs=[Input.drawn(team) for team in TEAMS[:2]])

    with pytest.raises(JobFailed, match="ash sent a public key that is none"):
        job.run(protocol)


def test_a_contribution_of_another_size_ends_the_job() -> None:
    """Added up in part it would be noise that looks like a result."""
    values = {"ash": [np.zeros(3)], "birch": [np.zeros(2)]}

    with pytest.raises(JobFailed, match="birch sent 32 bytes for sums, expected 48"):
        sums_of(job_of(values), values)
