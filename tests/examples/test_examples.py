"""Each example trains a model, tells how that goes, and fetches it. Those whose language is missing here are left out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.support.browser import open_browser, page_at
from tests.support.consenting import consenting
from tests.support.docs import ROOT
from tests.support.gateway import WITHIN_S, Gateway, router_settings, served
from tests.support.loopback import answers, loopback
from tests.support.network import RunningNetwork

EXAMPLES = ROOT / "examples"
_MODEL = "model.safetensors"
_LONGEST = 40


def test_each_is_short() -> None:
    """Whoever reads one should see all of it."""
    lengths = {one.name: len(one.read_text().splitlines()) for one in EXAMPLES.iterdir()}

    assert set(lengths) == {"training.ipynb", "training.R", "Training.java", "training.html"}
    assert [name for name, lines in lengths.items() if lines > _LONGEST] == []


def test_the_notebook(gateway: Gateway, running_network: RunningNetwork, tmp_path: Path) -> None:
    """Its cells, one after the other, in one interpreter."""
    cells = json.loads((EXAMPLES / "training.ipynb").read_text())["cells"]
    script = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    with consenting(gateway, running_network, "trained in a notebook"):
        told = _run([sys.executable, "-c", script], gateway, tmp_path)

    assert "Regression" in told
    assert '"accuracy"' in told
    assert _is_model(tmp_path / _MODEL)


@pytest.mark.full
@pytest.mark.parametrize(
    ("program", "file", "name"),
    [
        (["Rscript"], "training.R", "trained from R"),
        (["java"], "Training.java", "trained from Java"),
    ],
    ids=["R", "Java"],
)
def test_where_the_language_is_installed(  # noqa: PLR0917  (three are fixtures)
    gateway: Gateway, running_network: RunningNetwork, tmp_path: Path, program: list[str], file: str, name: str
) -> None:
    """Debian: r-cran-httr2, default-jdk-headless."""
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")

    with consenting(gateway, running_network, name):
        told = _run([*program, str(EXAMPLES / file)], gateway, tmp_path)

    assert "complete" in told
    assert f"{_MODEL} has {(tmp_path / _MODEL).stat().st_size} bytes" in told
    assert _is_model(tmp_path / _MODEL)


async def test_the_page(running_network: RunningNetwork, tmp_path: Path) -> None:
    """Served from elsewhere, and let in by its origin."""
    page_bytes = (EXAMPLES / "training.html").read_bytes()
    async with loopback(answers(200, page_bytes, kind="text/html")) as elsewhere, open_browser() as browser:
        settings = {**router_settings(running_network), "GATEWAY_CORS_ORIGINS": elsewhere.url}
        with served(tmp_path / "gateway", **settings) as gateway:
            page = await page_at(browser, f"{elsewhere.url}/?gateway={gateway.url}")
            with consenting(gateway, running_network, "trained from a browser"):
                await page.click("button")
                async with page.expect_download(timeout=WITHIN_S * 1000) as downloading:
                    await page.click("a")
                download = await downloading.value
                await download.save_as(tmp_path / _MODEL)
            told = await page.inner_text("pre")

    assert told.splitlines()[-1] == "complete"
    assert "Regression" in told
    assert _is_model(tmp_path / _MODEL)


def _run(command: list[str], gateway: Gateway, folder: Path) -> str:
    environment = {"GATEWAY": gateway.url, "TRIPLEBLIND_GATEWAY_URL": gateway.url, "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WITHIN_S * 2,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout[-2000:]}"
    return done.stdout


def _is_model(file: Path) -> bool:
    with safe_open(file, framework="numpy") as model:
        return len(list(model.keys())) > 0
