"""A secret for each pair of owners, agreed directly between the two and forgotten with the job.

X25519 (RFC 7748) with a fresh key pair for each job, and HKDF-SHA256 (RFC 5869) over what both know.
"""

import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from network.protocols.party import JobFailed, Party

PUBLIC_KEY_TOPIC = "public-key"


def agree_keys(party: Party, owners: Sequence[str]) -> dict[str, bytes]:
    """A 32-byte secret with each other owner, by team. Every owner must call it; public keys go owner to owner only."""
    mine = X25519PrivateKey.generate()
    peers = [owner for owner in owners if owner != party.me]
    for peer in peers:
        party.send(peer, PUBLIC_KEY_TOPIC, mine.public_key().public_bytes_raw())
    theirs = {peer: party.receive(peer, PUBLIC_KEY_TOPIC) for peer in peers}
    return {peer: _pair_key(party, peer, mine=mine, theirs=theirs[peer]) for peer in peers}


def _pair_key(party: Party, peer: str, *, mine: X25519PrivateKey, theirs: bytes) -> bytes:
    try:
        secret = mine.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as exc:
        raise JobFailed(f"{peer} sent a public key that is none") from exc
    public = {party.me: mine.public_key().public_bytes_raw(), peer: theirs}
    return HKDF(SHA256(), 32, salt=None, info=_binding(party.job_id, public)).derive(secret)


def _binding(job_id: UUID, public: Mapping[str, bytes]) -> bytes:
    """Job, ordered pair of teams and both public keys: a secret agreed for one use serves no other."""
    pair = [[team, key.hex()] for team, key in sorted(public.items())]
    return json.dumps(["tripleblind-gateway pairwise mask", str(job_id), pair]).encode()
