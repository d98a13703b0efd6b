"""A job's mail, seen from its process: straight to the peer's Access Point, and out of the own one's mailbox."""

import time
from collections import Counter
from collections.abc import Callable

import httpx

from network.access_point.tasks import Peer, Task
from network.protocols.party import JobFailed

SEND_WITHIN_S = 60.0
RECEIVE_WITHIN_S = 300.0
_LOOK_S = 20.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
# Not there yet, full for now, or stopping: worth another try.
_LATER = frozenset({404, 429, 500, 503})


class Post:
    """Sends and receives in order for each topic; every wait has an end."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._peers = {peer.team: peer for peer in task.peers}
        self._client = httpx.Client(timeout=httpx.Timeout(10.0, read=_LOOK_S + 10.0), trust_env=False)
        self._sent: Counter[tuple[str, str]] = Counter()
        self._received: Counter[tuple[str, str]] = Counter()
        self._done: dict[str, object] | None = None
        self.total = 0

    def send(self, team: str, topic: str, payload: bytes) -> None:
        """Until the peer's Access Point has it; JobFailed when it stays away."""
        peer = self._peers[team]
        sequence = self._sent[team, topic]
        self._sent[team, topic] += 1
        self.total += 1

        def attempt() -> httpx.Response:
            return self._put(peer, topic, sequence, payload)

        _persist(attempt, within_s=SEND_WITHIN_S, why=f"the Access Point of {team} could not be reached")

    def receive(self, team: str, topic: str) -> bytes:
        """The next under the topic; JobFailed when it does not come."""
        mark = {"sender": team, "topic": topic, "sequence": self._received[team, topic]}

        def attempt() -> httpx.Response:
            return self._look(mark)

        why = f"nothing came from {team} in time"
        content = _persist(attempt, within_s=RECEIVE_WITHIN_S, why=why).content
        self._received[team, topic] += 1
        self._done = mark
        return content

    def _put(self, peer: Peer, topic: str, sequence: int, payload: bytes) -> httpx.Response:
        return self._client.put(
            f"{peer.url}/internal/mail/{self._task.job_id}/{self._task.me}",
            params={"topic": topic, "sequence": sequence},
            headers={"Authorization": f"Bearer {peer.send_token}", "X-Communications": str(self.total)},
            content=payload,
        )

    def _look(self, mark: dict[str, object]) -> httpx.Response:
        return self._client.post(
            self._task.mailbox,
            headers={"Authorization": f"Bearer {self._task.mailbox_token}"},
            json={"mark": mark, "done": self._done, "sent": self.total, "within_s": _LOOK_S},
        )


def _persist(attempt: Callable[[], httpx.Response], *, within_s: float, why: str) -> httpx.Response:
    deadline = time.monotonic() + within_s
    pause_s = _FIRST_PAUSE_S
    while True:
        answer = _try(attempt)
        if answer is not None and answer.status_code == httpx.codes.OK:
            return answer
        if time.monotonic() > deadline:
            raise JobFailed(why)
        # 204: looked for as long as one look takes, and nothing had come.
        if answer is None or answer.status_code != httpx.codes.NO_CONTENT:
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _try(attempt: Callable[[], httpx.Response]) -> httpx.Response | None:
    try:
        answer = attempt()
    except httpx.TransportError:
        return None
    if answer.status_code not in {200, 204, *_LATER}:
        raise JobFailed(f"an Access Point refused a message of this job (HTTP {answer.status_code})")
    return answer
