"""RECOMMENDER_TRAIN: what it trains, compared with the same on the pooled ratings; what it tells, keeps back and refuses."""

import json
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from network.protocols.party import JobFailed
from network.protocols.recommender.protocol import run
from tests.support.network import RunningNetwork
from tests.support.parties import FakeJob, Input

OWNERS = ("lakeside", "mercy")
ITEMS = 12
Numbers = NDArray[np.float64]
ROLES = {"user_id": "identifier", "item_id": "feature", "rating": "feature"}


def rated(team: str, *, users: int = 40, seed: int = 1, items: int = ITEMS, **columns: pa.Array) -> Input:
    """Users who rate most items by a taste in two directions; `columns` replaces some."""
    rng = np.random.default_rng([seed, *team.encode()])
    user, item = np.nonzero(rng.random((users, items)) < 0.75)
    tastes, kinds = rng.normal(size=(users, 2)), np.random.default_rng(5).normal(size=(items, 2))
    rating = 3 + (tastes[user] * kinds[item]).sum(axis=1) + rng.normal(0, 0.1, len(user))
    names = pa.array([f"{team}-{one:03}" for one in user])
    drawn = {"user_id": names, "item_id": pa.array(item), "rating": pa.array(rating)} | columns
    return Input(team=team, table=pa.table(drawn), roles=ROLES)


def recommender(*inputs: Input, **params: object) -> FakeJob:
    defaults: dict[str, object] = {"item_count": ITEMS, "factors": 2, "epochs": 5}
    return FakeJob(inputs=inputs or [rated(owner) for owner in OWNERS], params=defaults | params)


def trained(job: FakeJob) -> pa.Table:
    asset_id = job.run(run).asset_id
    assert asset_id is not None
    return job.tables[asset_id]


def item_factors(table: pa.Table) -> Numbers:
    return np.column_stack([table[name].to_numpy() for name in table.column_names if name.startswith("factor_")])


def refusal(*inputs: Input, **params: object) -> str:
    job = recommender(*inputs, **params)
    with pytest.raises(JobFailed) as raised:
        job.run(run)
    assert not job.tables
    return str(raised.value)


def pooled_training(*inputs: Input, epochs: int, penalty: float, seed: int) -> tuple[Numbers, float]:
    """The same with all ratings in one matrix, written out: item factors and the root of the mean squared error."""
    table = pa.concat_tables([given.table for given in inputs])
    _, users = np.unique(table["user_id"].to_pylist(), return_inverse=True)
    matrix = np.full((users.max() + 1, ITEMS), np.nan)
    matrix[users, table["item_id"].to_numpy()] = table["rating"].to_numpy()
    known, distances = ~np.isnan(matrix), np.nan_to_num(matrix - np.nanmean(matrix))
    items = np.random.default_rng(seed).normal(0, 1 / np.sqrt(2), (ITEMS, 2))
    for epoch in range(epochs + 1):
        ridge = penalty * np.eye(2)
        tastes = np.array(
            [np.linalg.solve(items[row].T @ items[row] + ridge, items[row].T @ gaps[row])
             for row, gaps in zip(known, distances, strict=True)]
        )  # fmt: skip
        errors = np.where(known, tastes @ items.T - distances, 0.0)
        if epoch < epochs:
            length = known.T.astype(float) @ (tastes**2).sum(axis=1) + penalty
            items = items - (errors.T @ tastes + penalty * items) / length[:, np.newaxis]
    return items, float(np.sqrt((errors**2).sum() / known.sum()))


def test_the_item_factors_are_those_of_the_pooled_ratings() -> None:
    """Keeping the users apart costs no accuracy: the difference is one of rounding."""
    inputs = [rated(owner) for owner in OWNERS]
    expected, rmse = pooled_training(*inputs, epochs=10, penalty=0.5, seed=3)

    job = recommender(*inputs, epochs=10, regularization=0.5, seed=3)

    np.testing.assert_allclose(item_factors(trained(job)), expected, atol=1e-9)
    assert job.messages[-1]["rmse"] == pytest.approx(rmse, abs=1e-9)


def test_it_finds_the_taste_in_the_ratings() -> None:
    """To about the noise that was added to them."""
    job = recommender(epochs=50)

    summary = json.loads(job.run(run).raw_status)

    assert summary["rmse"] < 0.2
    assert (summary["items"], summary["factors"]) == (ITEMS, 2)


def test_every_epoch_is_told_and_the_loss_never_grows() -> None:
    """No step can overshoot."""
    job = recommender(epochs=20)

    job.run(run)

    losses = [float(str(message["loss"])) for message in job.messages]
    assert losses == sorted(losses, reverse=True)
    assert [(message["epoch"], message["epoch_count"]) for message in job.messages] == [(e, 20) for e in range(20)]
    assert set(job.messages[0]) == {"__type", "epoch", "epoch_count", "records", "loss", "rmse"}
    assert job.messages[0]["__type"] == "RecommenderTrainMetrics"
    assert job.messages[0]["records"] == sum(given.table.num_rows for given in job.inputs)


def test_the_result_names_items_counts_and_factors_only() -> None:
    """No user is in it."""
    inputs = [rated(owner) for owner in OWNERS]

    table = trained(recommender(*inputs))

    assert table.column_names == ["item", "ratings", "factor_1", "factor_2"]
    assert table["item"].to_pylist() == list(range(ITEMS))
    everything = np.concatenate([given.table["item_id"].to_numpy() for given in inputs])
    assert table["ratings"].to_pylist() == np.bincount(everything).tolist()


def test_the_same_seed_gives_the_same_factors_and_another_seed_others() -> None:
    """To the last bit: masks cancel exactly."""
    first, again, other = (item_factors(trained(recommender(seed=seed))) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_an_item_that_few_users_of_an_owner_rated_is_left_out_there() -> None:
    """A sum over nine would tell too much of each; the owner need not ask anybody."""
    rare = [[f"u{one}" for one in range(users)] for users in (9, 10)]
    inputs = [with_item(rated(owner), users) for owner, users in zip(OWNERS, rare, strict=True)]

    table = trained(recommender(*inputs, item_count=ITEMS + 8))

    assert dict(zip(table["item"].to_pylist(), table["ratings"].to_pylist(), strict=True))[ITEMS + 3] == 10
    assert table.num_rows == ITEMS + 1


def with_item(given: Input, users: list[str]) -> Input:
    more = {"user_id": pa.array(users), "item_id": pa.array([ITEMS + 3] * len(users)), "rating": [4.5] * len(users)}
    return Input(team=given.team, table=pa.concat_tables([given.table, pa.table(more)]), roles=given.roles)


def test_an_owner_without_an_item_that_ten_users_rated_refuses() -> None:
    """There is nothing it may add to a sum."""
    assert refusal(rated("mercy", users=9), rated("lakeside")).startswith("mercy has no item that 10 users rated")


def test_what_leaves_an_owner_is_masked() -> None:
    """Neither users nor their factors, nor how many there are; owners exchange keys and nothing else."""
    job = recommender()
    job.run(run)

    left = {sent.topic for sent in job.post.transcript if sent.sender == "mercy"}
    sizes = {len(sent.payload) for sent in job.post.transcript if sent.topic == "sums"}
    told = {sent.topic for sent in job.post.transcript if sent.sender == "globex"}
    masked = [sent.payload for sent in job.post.transcript if sent.topic in {"sums", "counts"}]

    assert left == {"public-key", "counts", "sums"}
    assert sizes == {2 * 8 * (2 + ITEMS * 3)}
    assert told == {"mean", "item-factors"}
    words = np.frombuffer(b"".join(masked), dtype="<u8")
    assert len(np.unique(words)) == len(words)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"item_id": pa.array([-7] + [1] * 19)}, "1 values that are not whole numbers from 0 to 11"),
        ({"item_id": pa.array([12.0] + [0.5] * 19)}, "20 values that are not whole numbers"),
        ({"item_id": pa.array(["film"] * 20)}, "'item_id' of mercy is no number"),
        ({"rating": pa.array([None] + [1.0] * 19)}, "'rating' of mercy has values that are missing"),
        ({"user_id": pa.array([None] + ["u"] * 19)}, "'user_id' of mercy has values that are missing"),
        ({"user_id": pa.array(["u"] * 20)}, "19 ratings by users who rated the same item before"),
    ],
)
def test_columns_that_are_no_ratings_are_refused_without_a_value(change: dict[str, Any], told: str) -> None:
    """Somebody has to know which column to mend, and no more."""
    users = pa.array([f"u{one}" for one in range(20)])
    columns = {"user_id": users, "item_id": pa.array([1] * 20), "rating": pa.array([1.0] * 20)} | change
    wrong = Input(team="mercy", table=pa.table(columns), roles=ROLES)

    assert told in refusal(wrong, rated("lakeside"))


def test_identifiers_are_no_items() -> None:
    """A sum for each would be a sum for each row."""
    given = rated("mercy")
    turned = Input(team="mercy", table=given.table, roles=ROLES | {"item_id": "identifier"})

    assert "'item_id' of mercy is no number that can be an item" in refusal(turned, rated("lakeside"))


def test_an_owner_does_not_take_the_routers_word_for_it() -> None:
    """With one owner there is nobody to hide amongst."""
    told = refusal(rated("mercy"), rated("mercy", seed=2))

    assert told == "a recommender needs tables of at least two teams, none of them the one that starts the job"


def test_several_tables_of_an_owner_are_one() -> None:
    """A user who rates in two of them is one user."""
    whole = rated("mercy")
    halves = [Input(team="mercy", table=part, roles=ROLES) for part in (whole.table[:200], whole.table[200:])]

    split = item_factors(trained(recommender(*halves, rated("lakeside"))))

    np.testing.assert_allclose(split, item_factors(trained(recommender(whole, rated("lakeside")))), atol=1e-12)


def test_it_trains_on_real_access_points(running_network: RunningNetwork) -> None:
    """On tables that their owners put there."""
    datasets = [_uploaded(running_network, rated(owner)) for owner in OWNERS]
    params = {"item_count": ITEMS, "factors": 2, "epochs": 3}

    running = running_network.run({"operation": "RECOMMENDER_TRAIN", "dataset": datasets, "params": params})

    job = running_network.reached(running["id"], {"complete", "error"})
    assert job["market_status"] == "complete", job["error"]
    messages = [json.loads(line).get("message") for line in running_network.stream(job["id"])]
    told = [(told["__type"], told["epoch"]) for told in messages if isinstance(told, dict)]
    assert told == [("RecommenderTrainMetrics", epoch) for epoch in range(3)]


def _uploaded(network: RunningNetwork, given: Input) -> str:
    body = {"name": f"ratings-{uuid4()}", "kind": "table"}
    asset: dict[str, Any] = network.client(given.team).post("/v1/assets", json=body).json()
    names = given.table.column_names
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in given.table.to_pylist())]
    door = asset["content"]
    headers = {"Authorization": f"Bearer {door['token']}", "Content-Type": "text/csv"}
    answer = httpx.put(network.here(door["url"]), content="\n".join(lines) + "\n", headers=headers)
    assert answer.is_success, answer.text
    return str(asset["id"])
