"""What `docker-compose.yml` starts: two services, one door, no secrets; and a job from the first key to its result."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.support import compose
from tests.support.compose import FILE, IMAGE, ROOT, Composition, composed, mounts, seconds, services
from tests.support.events import Event, ndjson
from tests.support.gateway import NDJSON, WITHIN_S
from tests.support.network import REGRESSION

SERVICES = services()
SHORTEST_GOODBYE_S = 20  # what a gateway may take to stop, as docs/operations.md says
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)

# What the file says


def test_one_port_is_published_and_to_this_machine_alone() -> None:
    """A port without an address in front of it is open to everybody, past most firewalls."""
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"gateway": ["127.0.0.1:8080:8080"]}
    assert all("network_mode" not in service for service in SERVICES.values())


@every_service
def test_a_service_is_asked_how_it_is(service: dict[str, Any]) -> None:
    """One that runs and does not answer is found by nobody else."""
    check = service["healthcheck"]

    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "start_period", "retries"} <= check.keys()


@every_service
def test_a_service_may_do_nothing_it_does_not_need(service: dict[str, Any]) -> None:
    """Whoever breaks into it finds little to go on with."""
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "user", "pid", "ipc", "devices"}
    assert all(size.startswith("/tmp:size=") for size in service["tmpfs"])  # noqa: S108  (a container's own)


@every_service
def test_a_service_leaves_in_good_order_and_comes_back(service: dict[str, Any]) -> None:
    """Also after the machine was restarted, and without filling its disk."""
    assert service["init"] is True
    assert service["restart"] == "unless-stopped"
    assert seconds(service["stop_grace_period"]) >= SHORTEST_GOODBYE_S
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()


@every_service
def test_a_service_is_built_here_and_never_pulled(service: dict[str, Any]) -> None:
    """An image's name without a registry is anybody's to take."""
    assert service["build"] == "."
    assert "image" not in service


def test_every_volume_is_declared_and_used() -> None:
    """One that is not declared is refused; one that is not used holds what everybody believes to be elsewhere."""
    used = {mount.volume for service in SERVICES.values() for mount in mounts(service)}

    assert used == composed()["volumes"].keys()


def test_the_services_share_nothing_but_the_token_and_one_of_them_only_reads_it() -> None:
    """Every team's secrets stand in the network's data."""
    ours = {mount.volume: mount for mount in mounts(SERVICES["gateway"])}
    theirs = {mount.volume: mount for mount in mounts(SERVICES["network"])}

    assert ours.keys() & theirs.keys() == {"tokens"}
    assert ours["tokens"].read_only


@every_service
def test_every_mounted_folder_is_in_the_image_and_belongs_to_its_user(service: dict[str, Any]) -> None:
    """A new volume takes its owner from there; without the folder it would be root's."""
    made = {path for command in IMAGE.commands if command[0] == "install" for path in made_for_gateway(command)}

    assert {mount.path for mount in mounts(service)} <= made
    assert IMAGE.last("USER") == f"{number('useradd', '--uid')}:{number('groupadd', '--gid')}" == "10001:10001"


def test_no_secret_stands_in_the_file() -> None:
    """It is in everybody's checkout."""
    secret = re.compile(r"TOKEN|KEY|SECRET|PASSWORD")
    settings = {name: value for service in SERVICES.values() for name, value in service.get("environment", {}).items()}

    assert [name for name in settings if secret.search(name) and not name.endswith("_FILE")] == []
    assert re.findall(r"tbg_|[\w+-]{32,}", FILE.read_text(encoding="utf-8")) == []


def test_every_variable_is_a_setting() -> None:
    """The gateway takes no notice of one that is misspelt."""
    known = {f"GATEWAY_{name.upper()}" for name in Settings.model_fields}

    assert SERVICES["gateway"]["environment"].keys() <= known
    assert set(re.findall(r"GATEWAY_\w+", FILE.read_text(encoding="utf-8"))) <= known


def test_nothing_in_the_file_depends_on_who_reads_it() -> None:
    """A variable that is not set becomes an empty text; and a version is no longer given."""
    assert "$" not in FILE.read_text(encoding="utf-8")
    assert composed().keys() == {"name", "x-both", "services", "volumes"}


def test_the_documented_commands_name_services_that_exist() -> None:
    """They are copied letter by letter."""
    named = {words[-1] for words in re.findall(r"docker compose (?:run|exec)((?: -\S+)*) ([\w-]+)", documented())}

    assert named == SERVICES.keys()


# What it starts


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composition]:
    """Both services, healthy; whoever stops them starts them again."""
    with compose.started(tmp_path_factory.mktemp("compose")) as composition:
        yield composition


async def test_a_job_runs_from_the_first_key_to_its_result(running: Composition) -> None:
    """With the commands of the document, and with nothing that the file does not give."""
    key = first_key(running)

    async with a_client(running) as stranger:
        refused = await stranger.get("/v1/jobs")
    async with a_client(running, key=key) as ada:
        job_id = await submitted(ada)
        granted = answer_as_owners(running, job_id)
        events = await followed(ada, job_id)
        result = await ada.get(f"/v1/jobs/{job_id}/result")

    assert (refused.status_code, refused.json()["code"]) == (401, "key-missing")
    assert granted == ["mercy accepted", "lakeside accepted"]
    assert (events[-1].name, events[-1].json["phase"]) == ("end", "complete")
    assert result.status_code == httpx.codes.OK, result.text
    assert result.json()["asset_id"]


def test_both_stop_in_good_order_leave_nothing_and_come_back_as_they_were(running: Composition) -> None:
    """What Docker would have to kill has lost something; what comes back without its data has, too."""
    tokens = owners_tokens(running)

    stopped = running.stop()
    running.up()

    assert stopped == {"gateway": (0, []), "network": (0, [])}
    assert owners_tokens(running) == tokens


def test_the_shared_volume_holds_one_teams_token_and_nothing_else(running: Composition) -> None:
    """The owners' tokens would let the gateway grant what it asks for."""
    (file,) = running.volume("tokens").iterdir()

    assert (file.name, file.read_text()) == ("globex", owners_tokens(running)["globex"])
    assert file.stat().st_mode & 0o077 == 0


def owners_tokens(running: Composition) -> dict[str, str]:
    shown = running.exec("network", *command_of("docker compose exec network"))
    return dict(json.loads(shown.stdout)["tokens"])


def first_key(running: Composition) -> str:
    made = running.run("gateway", *command_of("docker compose run --rm gateway"))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def a_client(running: Composition, *, key: str | None = None) -> httpx.AsyncClient:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=running.url("gateway"), headers=headers, timeout=WITHIN_S, trust_env=False)


async def submitted(client: httpx.AsyncClient) -> str:
    created = await client.post("/v1/jobs", json={"job_name": "composed", **REGRESSION})
    assert created.status_code == httpx.codes.CREATED, created.text
    job_id = str(created.json()["id"])
    answer = await client.post(f"/v1/jobs/{job_id}/submit")
    assert answer.json()["phase"] == "waiting_on_permission", answer.text
    return job_id


def answer_as_owners(running: Composition, job_id: str) -> list[str]:
    block = re.search(r"(?ms)^docker compose exec -T network (.*?) <<'PYTHON'\n(.*?)^PYTHON$", documented())
    assert block is not None
    command = [job_id if word == "$JOB" else word for word in shlex.split(block[1])]
    answered = running.exec("network", *command, told=block[2])
    assert answered.returncode == 0, answered.stderr
    return answered.stdout.splitlines()


async def followed(client: httpx.AsyncClient, job_id: str) -> list[Event]:
    stream = await client.get(f"/v1/jobs/{job_id}/events", headers=NDJSON)
    assert stream.status_code == httpx.codes.OK, stream.text
    return ndjson(stream.content)


def documented() -> str:
    """The section of the document that is about containers."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return text.partition("\n## In a container\n")[2].partition("\n## ")[0]


def command_of(start: str) -> list[str]:
    """What the document has after this."""
    shown = re.search(rf"{re.escape(start)} ([^`\n]+)", documented())
    assert shown is not None, f"the document does not show `{start} …`"
    return shlex.split(shown[1])


def made_for_gateway(command: list[str]) -> list[str]:
    owned = ["--directory", "--owner", "gateway", "--group", "gateway", "--mode", "0700"]
    return command[len(owned) + 1 :] if command[1 : len(owned) + 1] == owned else []


def number(program: str, option: str) -> str:
    made = next(command for command in IMAGE.commands if command[0] == program)
    return made[made.index(option) + 1]
