"""REGRESSION: what each party gets to see while it runs."""

from collections.abc import Iterator

import numpy as np
import pytest

from network.protocols.aggregation.fixed_point import decode, encode
from network.protocols.regression.families import flat_size, sums_at
from network.protocols.regression.protocol import run
from tests.support.parties import FakeJob, Input

OWNERS = ("mercy", "lakeside")
MASKED = {"count-and-sum", "distance", "spread", "sums"}


@pytest.fixture(name="job")
def _job() -> FakeJob:
    inputs = [Input.ready_made(f"{owner}/breast-cancer") for owner in OWNERS]
    job = FakeJob(inputs=inputs, params={"regression_type": "LOGISTIC"})
    job.run(run)
    return job


def row_values(job: FakeJob) -> Iterator[float]:
    for given in job.inputs:
        for name in given.table.column_names:
            if given.roles[name] == "feature":
                yield from given.table[name].to_pylist()


def test_no_value_of_any_row_is_in_any_payload(job: FakeJob) -> None:
    """Neither as a float64 nor as text, nor any identifier. Short numbers would match by chance, powers of two as units."""
    everything = b"\n".join(sent.payload for sent in job.post.transcript)
    values = {value for value in row_values(job) if len(repr(value)) >= 6 and np.frexp(value)[0] != 0.5}

    assert len(values) > 5000
    assert not [value for value in values if np.float64(value).tobytes() in everything]
    assert not [value for value in values if repr(value).encode() in everything]
    assert not [
        name for given in job.inputs for name in given.table["patient_id"].to_pylist() if name.encode() in everything
    ]


def test_what_one_owner_sends_is_not_its_sums_but_together_they_are(job: FakeJob) -> None:
    """The masks are what hides them, so each payload differs from the plain words everywhere."""
    words, plain = first_round(job), plain_first_round(job)

    for owner in OWNERS:
        assert not (words[owner] == encode(plain[owner], summands=2)).any()
    total = decode(words["mercy"] + words["lakeside"])
    np.testing.assert_allclose(total, plain["mercy"] + plain["lakeside"], rtol=1e-13)


def first_round(job: FakeJob) -> dict[str, np.typing.NDArray[np.uint64]]:
    payloads = {owner: job.sent(sender=owner, receiver="globex", topic="count-and-sum")[0] for owner in OWNERS}
    return {owner: np.frombuffer(payload, dtype="<u8").reshape(2, -1) for owner, payload in payloads.items()}


def plain_first_round(job: FakeJob) -> dict[str, np.typing.NDArray[np.float64]]:
    plain = {}
    for given in job.inputs:
        numbers = [given.table[name].to_numpy().sum() for name in given.table.column_names if name != "patient_id"]
        plain[given.team] = np.array([*numbers, given.table.num_rows], dtype=np.float64)
    return plain


def test_masked_payloads_differ_from_run_to_run(job: FakeJob) -> None:
    """The data are the same; whatever repeated would be about them."""
    again = FakeJob(inputs=job.inputs, params=job.params)
    again.run(run)

    assert not (first_round(job)["mercy"] == first_round(again)["mercy"]).any()


def test_no_masked_word_is_sent_twice(job: FakeJob) -> None:
    """A mask used again would make equal sums look equal."""
    payloads = [sent.payload for sent in job.post.transcript if sent.sender == "mercy" and sent.topic in MASKED]

    words = np.frombuffer(b"".join(payloads), dtype="<u8")

    assert len(np.unique(words)) == len(words)


def test_owners_exchange_keys_and_nothing_else(job: FakeJob) -> None:
    """With two owners, each could subtract its own part from any sum it saw."""
    between = {sent.topic for sent in job.post.transcript if sent.sender in OWNERS and sent.receiver in OWNERS}

    assert between == {"public-key"}


def test_the_initiator_receives_names_and_masked_sums_only(job: FakeJob) -> None:
    """Anything else would be a second way out of the house."""
    received = {sent.topic for sent in job.post.transcript if sent.receiver == job.initiator}

    assert received == {"columns"} | MASKED


def test_owners_are_told_the_pools_mean_and_scale_and_coefficients_only(job: FakeJob) -> None:
    """An owner learns no more than these about the others; the documentation says so."""
    told = {sent.topic for sent in job.post.transcript if sent.sender == job.initiator}

    assert told == {"chosen-columns", "centre", "unit", "standard", "coefficients"}


def test_the_size_of_a_payload_depends_on_the_columns_and_not_on_the_rows(job: FakeJob) -> None:
    """Else the number of an owner's rows would show."""
    sizes = {len(sent.payload) for sent in job.post.transcript if sent.topic == "sums"}

    assert sizes == {2 * 8 * flat_size(31)}


def test_the_curvature_travels_without_its_mirror_image() -> None:
    """What is symmetric is sent once."""
    rng = np.random.default_rng(1)
    design, target = rng.normal(size=(12, 3)), rng.integers(0, 2, 12).astype(np.float64)

    sums = sums_at(np.zeros(3), design=design, target=target, regression_type="LOGISTIC")

    back = type(sums).unflatten(sums.flat(), size=3)
    np.testing.assert_array_equal(back.curvature, sums.curvature)
    np.testing.assert_array_equal(back.gradient, sums.gradient)
