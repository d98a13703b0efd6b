"""BLIND_LEARNING: split learning. Each owner holds the first layers, the initiator the rest.

What an owner's layers make of its rows goes to the initiator, with the targets; the slope of the loss comes back. After
each epoch the owners' layers are averaged, by a secure sum.
"""

from network.protocols.neural.blind_initiator import train
from network.protocols.neural.blind_owner import contribute
from network.protocols.neural.parts import owners_of
from network.protocols.parameters import BlindLearningParams
from network.protocols.party import Outcome, Party


def run(party: Party) -> Outcome:
    """Train or contribute, whichever is this party's part. Raises JobFailed when there is no network, saying why."""
    params = BlindLearningParams.model_validate(party.params)
    owners = owners_of(party, what="blind learning")
    if party.me == party.initiator:
        return train(party, owners, params=params)
    contribute(party, owners, params=params)
    return Outcome(raw_status="")
