"""The examples in other languages do what they say. Those whose toolchain is missing are left to machines that have it."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.docs import ROOT, code_blocks, run_shell
from tests.support.gateway import Gateway, router_settings, served
from tests.support.network import RunningNetwork
from tests.support.npm import NODE

PAGE = ROOT / "docs" / "languages.md"
TASKS = ("run a job", "follow it", "find jobs")
# What the last lines of each task's output must hold.
SAYS = ("asset_id", "end", "nothing by this name")

_WITHIN_S = 120
_LOOK_EVERY_S = 0.1


@pytest.fixture(scope="module")
def gateway(running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose newest job is that of the example before, and where one job was denied."""
    with served(tmp_path_factory.mktemp("languages"), **router_settings(running_network)) as gateway:
        yield gateway


@pytest.fixture(scope="module", autouse=True)
def _mercy_answers(running_network: RunningNetwork) -> Iterator[None]:
    """Somebody at mercy, who allows what is asked, but for one study."""
    stop = threading.Event()
    answering = threading.Thread(target=_answer, args=(running_network, stop))
    answering.start()
    yield
    stop.set()
    answering.join(_WITHIN_S)


def _answer(network: RunningNetwork, stop: threading.Event) -> None:
    with httpx.Client(base_url=network.router_url, headers=_as_mercy(network), trust_env=False) as mercy:
        while not stop.wait(_LOOK_EVERY_S):
            for asked in mercy.get("/v1/access-requests", params={"state": "pending"}).json()["items"]:
                if asked["owner_team"] == "mercy":
                    verb = "deny" if asked["job_name"] == _DENIED else "accept"
                    mercy.post(f"/v1/access-requests/{asked['asset_id']}/{asked['job_id']}/{verb}", json={})


_DENIED = "nothing by this name"


def _as_mercy(network: RunningNetwork) -> dict[str, str]:
    return {"Authorization": f"Bearer {network.tokens['mercy']}"}


@pytest.fixture(scope="module")
def _one_denied(gateway: Gateway) -> None:
    """There is a job for the third task to find."""
    body = {
        "job_name": _DENIED,
        "operation": "PRIVATE_SET_INTERSECTION",
        "dataset": ["globex/patients", "mercy/patients"],
    }
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=_WITHIN_S) as client:
        job = client.post("/v1/jobs", params={"submit": "true"}, json=body).json()
        assert client.get(f"/v1/jobs/{job['id']}/wait", params={"timeout": "60"}).json()["phase"] == "denied"


@pytest.mark.usefixtures("_one_denied")
def test_with_curl(gateway: Gateway, tmp_path: Path) -> None:
    """One session, as it stands there."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("curl and bash are not installed")

    done = run_shell(PAGE, gateway=gateway.url, network=tmp_path, folder=tmp_path)

    assert done.returncode == 0, f"{done.stderr}\n{done.stdout[-2000:]}"
    assert [word for word in SAYS if word not in done.stdout] == []


@pytest.mark.usefixtures("_one_denied")
def test_in_javascript(gateway: Gateway, tmp_path: Path) -> None:
    """Node runs each as a module."""
    _run_all("js", [str(NODE)], gateway=gateway, folder=tmp_path, name="example.mjs")


@pytest.mark.full
@pytest.mark.parametrize(
    ("language", "program", "name"),
    [("r", ["Rscript"], "example.R"), ("java", ["java"], "Example.java"), ("go", ["go", "run"], "example.go")],
    ids=["r", "java", "go"],
)
@pytest.mark.usefixtures("_one_denied")
def test_where_the_language_is_installed(
    gateway: Gateway, tmp_path: Path, language: str, program: list[str], name: str
) -> None:
    """Debian: r-cran-httr2, default-jdk-headless, golang-go."""
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")

    _run_all(language, program, gateway=gateway, folder=tmp_path, name=name)


def _run_all(language: str, program: list[str], *, gateway: Gateway, folder: Path, name: str) -> None:
    blocks = code_blocks(PAGE, language)
    assert len(blocks) == len(TASKS)
    for block, says in zip(blocks, SAYS, strict=True):
        (folder / name).write_text(block)
        done = subprocess.run(
            [*program, folder / name],
            env={**os.environ, "GATEWAY": gateway.url, "HOME": str(folder)},
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout[-2000:]}"
        assert says in done.stdout
