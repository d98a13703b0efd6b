"""What the initiator does in blind learning: it runs the last layers, compares with the targets, and sends slopes back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import collect
from network.protocols.neural import halves
from network.protocols.neural.halves import Counts, batches, cut_units, stepped
from network.protocols.neural.layers import Layers, backward, flat, output, unflatten
from network.protocols.neural.losses import Compared, compare
from network.protocols.neural.matrices import receive_matrix, send_matrix
from network.protocols.neural.network import Network
from network.protocols.neural.network_file import to_bytes
from network.protocols.neural.parts import Pool, meet_pool
from network.protocols.parameters import BlindLearningParams
from network.protocols.party import Outcome, Party
from network.protocols.regression.announcements import announce


@dataclass(slots=True)
class _Tally:
    """What was compared so far."""

    records: int = 0
    loss: float = 0.0
    hits: float = 0.0

    def add(self, compared: Compared) -> None:
        self.records += len(compared.slope)
        self.loss += compared.loss
        self.hits += compared.hits

    @property
    def quality(self) -> dict[str, float]:
        """Accuracy in percent, and loss per record."""
        return {"accuracy": 100 * self.hits / self.records, "loss": self.loss / self.records}


@dataclass(kw_only=True)
class _Client:
    """An owner as the initiator knows it; the place in the list of owners is its client_id."""

    team: str
    counts: Counts
    training: _Tally = field(default_factory=_Tally)
    test: _Tally = field(default_factory=_Tally)


def train(party: Party, owners: Sequence[str], *, params: BlindLearningParams) -> Outcome:
    """Train, tell the stream about every epoch, and keep the network. Raises JobFailed when there is none."""
    pool = meet_pool(party, owners)
    counts = {owner: Counts.from_bytes(party.receive(owner, halves.COUNTS_TOPIC), team=owner) for owner in owners}
    first, last = halves.halves(len(pool.columns.features), params=params)
    for epoch in range(params.epochs):
        clients = [_Client(team=owner, counts=counts[owner]) for owner in owners]
        last = _epoch(party, clients, last, params=params)
        first = _averaged(party, clients, like=first)
        for client in clients:
            _test(party, client, last, params=params)
        _tell(party, clients, epoch=epoch, epoch_count=params.epochs)
    asset_id = party.save_model(to_bytes(_network((*first, *last), pool=pool)))
    summary = {"operation": "BLIND_LEARNING", "target": pool.columns.target, "features": len(pool.columns.features)}
    summary |= {"records": pool.records, "epochs": params.epochs, **_over_all(clients)}
    return Outcome(raw_status=json.dumps(summary), asset_id=asset_id)


def _epoch(party: Party, clients: Sequence[_Client], layers: Layers, *, params: BlindLearningParams) -> Layers:
    """The owners take turns, batch by batch, until each has had all its rows."""
    planned = [list(batches(client.counts.training, size=params.batch_size)) for client in clients]
    for turn in range(max(map(len, planned))):
        for client, own in zip(clients, planned, strict=True):
            if turn < len(own):
                layers = _batch(party, client, layers, rows=own[turn].stop - own[turn].start, params=params)
    return layers


def _batch(party: Party, client: _Client, layers: Layers, *, rows: int, params: BlindLearningParams) -> Layers:
    activations, target = _received(party, client.team, halves.ACTIVATIONS_TOPIC, rows=rows, params=params)
    compared = compare(output(layers, activations), target, model_output="binary")
    client.training.add(compared)
    gradient, slopes = backward(layers, activations, compared.slope)
    after = stepped(layers, gradient / rows, rate=params.learning_rate)
    send_matrix(party, client.team, halves.SLOPES_TOPIC, slopes)
    return after


def _received(party: Party, team: str, topic: str, *, rows: int, params: BlindLearningParams) -> tuple[Reals, Reals]:
    told = receive_matrix(party, team, topic, shape=(rows, cut_units(params) + 1))
    return told[:, :-1], told[:, -1]


def _averaged(party: Party, clients: Sequence[_Client], *, like: Layers) -> Layers:
    """The mean of the owners' layers, each counted as often as it has rows to train on."""
    owners = [client.team for client in clients]
    total = sum(client.counts.training for client in clients)
    mean = collect(party, owners, topic=halves.HALF_TOPIC, size=flat(like).size) / total
    announce(party, owners, topic=halves.AVERAGE_TOPIC, values=mean)
    return unflatten(mean, like=like)


def _test(party: Party, client: _Client, layers: Layers, *, params: BlindLearningParams) -> None:
    for batch in batches(client.counts.test, size=params.batch_size):
        rows = batch.stop - batch.start
        activations, target = _received(party, client.team, halves.TEST_TOPIC, rows=rows, params=params)
        client.test.add(compare(output(layers, activations), target, model_output="binary"))


def _tell(party: Party, clients: Sequence[_Client], *, epoch: int, epoch_count: int) -> None:
    party.emit(
        {
            "__type": "SplitTrainMetrics",
            "test_results": "".join(_line(place, client.test) for place, client in enumerate(clients)),
            "train_reports": [_report(place, client.training) for place, client in enumerate(clients)],
            "epoch_count": epoch_count,
            "epoch": epoch,
        }
    )


def _line(client_id: int, test: _Tally) -> str:
    accuracy, loss = test.quality["accuracy"], test.quality["loss"]
    return f"Client{client_id}: Test records: {test.records}, Accuracy: {accuracy:.2f}%, Loss: {loss:.2f}\n"


def _report(client_id: int, training: _Tally) -> dict[str, object]:
    return {**training.quality, "client_id": client_id, "__type": "SplitTrainClassificationReport"}


def _over_all(clients: Sequence[_Client]) -> dict[str, float]:
    """Of the test rows of all owners, as a share and per record."""
    records = sum(client.test.records for client in clients)
    hits, loss = sum(client.test.hits for client in clients), sum(client.test.loss for client in clients)
    return {"test_records": records, "accuracy": hits / records, "loss": loss / records}


def _network(layers: Layers, *, pool: Pool) -> Network:
    standard = pool.standard
    return Network(
        model_output="binary",
        features=pool.columns.features,
        target=pool.columns.target,
        mean=standard.mean[:-1],
        scale=standard.scale[:-1],
        layers=layers,
    )
