"""What becomes of the jobs: a dozen courses, each of which a job takes whatever is broken meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from tests.soak.asking import Answer, Asking, Json
from tests.soak.router import FINAL, OUR_TEAM, Router
from tests.soak.stage import ADMIN, CREATORS
from tests.support.gateway import inference_by
from tests.support.network import INTERSECTION, LONG_REGRESSION, REGRESSION

_STEP_S = (0.0, 4.0)
_RUNS_S = (1.0, 15.0)
_EPOCHS = (100, 500)  # each of which is a message, and a round between the Access Points
_SHARE_OF_TIME = 0.85  # in which jobs are begun; the rest is for the last of them
_RUNNING = FINAL | {"running"}
_LEARNING = {**REGRESSION, "operation": "FEDERATED_LEARNING_PROTOCOL"}
_OTHERS_INTERSECTION = {"operation": "PRIVATE_SET_INTERSECTION", "dataset": ["mercy/patients", "globex/patients"]}


@dataclass(slots=True, kw_only=True)
class Begun:
    """A job that somebody has asked for. `created_by` is None where that was not at the gateway."""

    name: str
    course: str
    created_by: str | None
    id: str | None = None
    watched: bool = True  # whether its stream is for the gateway to read
    answers: list[Answer] = field(default_factory=list)


class Jobs:
    """Begins jobs at random moments, and sees each through its course."""

    def __init__(self, asking: Asking, router: Router, *, seed: int, began: Callable[[Begun], Awaitable[None]]) -> None:
        self.begun: list[Begun] = []
        self._asking = asking
        self._router = router
        self._seed = seed
        self._began = began
        self._model = ""

    async def train(self) -> None:
        """The first job of all, before anything breaks: its model is what others run."""
        rng = random.Random(f"{self._seed} first")  # noqa: S311  (to be repeated, not to be secret)
        job = await self._accepted(REGRESSION, Begun(name="soak 0", course="trains", created_by="sam"), rng)
        done = await self._router.until(_id(job), FINAL)
        assert done["market_status"] == "complete", done
        self._model = done["result"]["asset_id"]

    async def take_course(self, number: int, *, of: int, within_s: float) -> None:
        """One job of so many, begun at a random moment of its part of the time."""
        rng = random.Random(f"{self._seed} job {number}")  # noqa: S311  (to be repeated, not to be secret)
        courses = self._courses()
        name, course = courses[number % len(courses)]
        await asyncio.sleep(within_s * _SHARE_OF_TIME * (number + rng.random()) / of)
        await course(f"soak {number + 1}", name, rng)

    def _courses(self) -> list[tuple[str, Callable[[str, str, random.Random], Awaitable[None]]]]:
        return [
            ("learns", self._learns),
            ("is killed", self._is_killed),
            ("is denied", self._is_denied),
            ("says a lot", self._says_a_lot),
            ("is killed twice at once", self._is_killed_twice),
            ("is created at the Router", self._is_created_at_the_router),
            ("is cancelled while it waits", self._is_cancelled),
            ("is another team's, its stream shared", self._is_shared),
            ("learns", self._learns),
            ("is cancelled too late, then killed", self._is_cancelled_too_late),
            ("is killed while it waits", self._is_killed_while_it_waits),
            ("is allowed", self._is_allowed),
            ("is another team's", self._is_anothers),
            ("is cancelled before it is submitted", self._is_never_submitted),
            ("learns", self._learns),
            ("is created and submitted in one", self._is_made_in_one),
            ("is cancelled and killed at once", self._is_cancelled_and_killed),
        ]

    async def _says_a_lot(self, name: str, course: str, rng: random.Random) -> None:
        body = inference_by(self._model)
        body["params"]["batch_size"] = rng.choice((1, 2, 5))
        await self._submitted(body, _by_a_creator(name, course, rng), rng)

    async def _learns(self, name: str, course: str, rng: random.Random) -> None:
        body = {**_LEARNING, "params": {"epochs": rng.randint(*_EPOCHS)}}
        await self._accepted(body, _by_a_creator(name, course, rng), rng)

    async def _is_allowed(self, name: str, course: str, rng: random.Random) -> None:
        body = rng.choice((INTERSECTION, REGRESSION))
        await self._accepted(body, _by_a_creator(name, course, rng), rng)

    async def _is_killed(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._runs(LONG_REGRESSION, _by_a_creator(name, course, rng), rng)
        await self._kill(job, job.created_by or ADMIN, rng)

    async def _is_killed_twice(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._runs(LONG_REGRESSION, _by_a_creator(name, course, rng), rng)
        await asyncio.gather(self._kill(job, job.created_by or ADMIN, rng), self._kill(job, ADMIN, rng))

    async def _is_cancelled_too_late(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._runs(LONG_REGRESSION, _by_a_creator(name, course, rng), rng)
        await self._cancel(job, rng)
        await self._kill(job, ADMIN, rng)

    async def _is_denied(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._submitted(REGRESSION, _by_a_creator(name, course, rng), rng)
        await self._owners_say("deny", job, rng)

    async def _is_cancelled(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._submitted(INTERSECTION, _by_a_creator(name, course, rng), rng)
        await _step(rng)
        await self._cancel(job, rng)

    async def _is_killed_while_it_waits(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._submitted(REGRESSION, _by_a_creator(name, course, rng), rng)
        await _step(rng)
        await self._kill(job, ADMIN, rng)

    async def _is_cancelled_and_killed(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._submitted(REGRESSION, _by_a_creator(name, course, rng), rng)
        await _step(rng)
        await asyncio.gather(self._owners_say("accept", job, rng), self._cancel(job, rng), self._kill(job, ADMIN, rng))

    async def _is_never_submitted(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._created(INTERSECTION, _by_a_creator(name, course, rng), rng)
        await _step(rng)
        await self._cancel(job, rng)

    async def _is_made_in_one(self, name: str, course: str, rng: random.Random) -> None:
        job = await self._created(INTERSECTION, _by_a_creator(name, course, rng), rng, submit="true")
        await self._owners_say("accept", job, rng)

    async def _is_created_at_the_router(self, name: str, course: str, rng: random.Random) -> None:
        job = Begun(name=name, course=course, created_by=None)
        await self._run_at_the_router(job, rng.choice((INTERSECTION, REGRESSION)), rng, team=OUR_TEAM)

    async def _is_anothers(self, name: str, course: str, rng: random.Random) -> None:
        job = Begun(name=name, course=course, created_by=None, watched=False)
        await self._run_at_the_router(job, _OTHERS_INTERSECTION, rng, team="mercy")

    async def _is_shared(self, name: str, course: str, rng: random.Random) -> None:
        job = Begun(name=name, course=course, created_by=None)
        await self._run_at_the_router(job, {**_OTHERS_INTERSECTION, "stream_to": [OUR_TEAM]}, rng, team="mercy")

    async def _created(self, body: Json, job: Begun, rng: random.Random, **query: str) -> Begun:
        self.begun.append(job)
        assert job.created_by is not None
        wanted = {"job_name": job.name, **body}
        answer = await self._asking.post(job.created_by, "/v1/jobs", verb="create", rng=rng, body=wanted, **query)
        job.answers.append(answer)
        assert answer.said == "201", f"{job.name}: {answer}"
        job.id = answer.content["id"]
        await self._began(job)
        return job

    async def _submitted(self, body: Json, job: Begun, rng: random.Random) -> Begun:
        await self._created(body, job, rng)
        await _step(rng)
        await self._ask(job, "submit", job.created_by or ADMIN, rng)
        return job

    async def _accepted(self, body: Json, job: Begun, rng: random.Random) -> Begun:
        await self._submitted(body, job, rng)
        await self._owners_say("accept", job, rng)
        return job

    async def _runs(self, body: Json, job: Begun, rng: random.Random) -> Begun:
        """Until it calculates, or is over for another reason."""
        await self._accepted(body, job, rng)
        await self._router.until(_id(job), _RUNNING)
        await asyncio.sleep(rng.uniform(*_RUNS_S))
        return job

    async def _run_at_the_router(self, job: Begun, body: Json, rng: random.Random, *, team: str) -> None:
        self.begun.append(job)
        reference = str(UUID(int=rng.getrandbits(128)))
        job.id = await self._router.create({"job_name": job.name, **body}, client_ref=reference, team=team)
        await self._began(job)
        await _step(rng)
        answer = await self._router.post(f"/v1/jobs/{job.id}/submit", team=team)
        # One that was cut off may have been received: the next then hears that it was submitted before.
        assert answer.is_success or answer.json()["error"]["code"] == "job-already-submitted", answer.text
        await self._owners_say("accept", job, rng)

    async def _owners_say(self, verb: str, job: Begun, rng: random.Random) -> None:
        """Each at the Router, in their own time; a job that ends meanwhile asks nobody any more."""
        asked = await self._router.until(_id(job), FINAL | {"perm"})
        for missing in asked["waiting_on"]:
            await _step(rng)
            path = f"/v1/access-requests/{missing['asset_id']}/{job.id}/{verb}"
            await self._router.post(path, {"reason": "soaked"}, team=missing["team"])

    async def _cancel(self, job: Begun, rng: random.Random) -> None:
        await self._ask(job, "cancel", job.created_by or ADMIN, rng, {"reason": "not wanted any more"})

    async def _kill(self, job: Begun, who: str, rng: random.Random) -> None:
        await self._ask(job, "kill", who, rng, {"reason": f"{who} has seen enough"})

    async def _ask(self, job: Begun, verb: str, who: str, rng: random.Random, body: Json | None = None) -> None:
        answer = await self._asking.post(who, f"/v1/jobs/{job.id}/{verb}", verb=verb, rng=rng, body=body)
        job.answers.append(answer)


def _by_a_creator(name: str, course: str, rng: random.Random) -> Begun:
    return Begun(name=name, course=course, created_by=rng.choice(CREATORS))


def _id(job: Begun) -> str:
    assert job.id is not None, f"{job.name} has not been created"
    return job.id


async def _step(rng: random.Random) -> None:
    await asyncio.sleep(rng.uniform(*_STEP_S))
