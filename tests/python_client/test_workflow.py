"""The reference's typical workflow as a program: with another import, it runs."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.python_client.conftest import Consenting
from tests.python_client.reference import reference_text, workflow
from tests.support.docs import ROOT, code_blocks
from tests.support.gateway import WITHIN_S, Gateway

# The text has lost its indentation.
_INDENTED = {
    "job_name": 1,
    "operation": 1,
    "dataset": 1,
    "params": 1,
    "job.wait": 1,
    "if job.success": 1,
    "output": 2,
    "else": 1,
    "print": 2,
}
# What the reader is to fill in, and what no Python would read.
_FILLED_IN = {
    "import tripleblind as tb": "import tripleblind_gateway as tb",
    ", ...}": "}",
}
_BEFORE = """
op = tb.PRIVATE_SET_INTERSECTION
data1, data2 = tb.Asset.find("globex/patients"), tb.Asset.find("mercy/patients")
"""


def test_the_typical_workflow_ends_with_its_file(gateway: Gateway, consenting: Consenting, tmp_path: Path) -> None:
    """Taken out of the text, with the import, the operation, the data and a name filled in."""
    name = f"workflow {uuid4()}"
    first, *lines = map(python_of, workflow(reference_text()))
    program = "\n".join([first, _BEFORE, *lines]).replace("...something unique for reference...", name)

    with consenting(name):
        run = ran(program, gateway, folder=tmp_path)

    assert run.returncode == 0, run.stderr
    assert "Waiting on permission" in run.stdout
    header, *rows = (tmp_path / "output.csv").read_text().splitlines()
    assert header.strip('"') == "patient_id"
    assert len(rows) > 10


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_the_examples_run(gateway: Gateway, consenting: Consenting, tmp_path: Path, document: str) -> None:
    """As they stand there, one after the other."""
    name = f"documented {uuid4()}"
    program = "\n".join(code_blocks(ROOT / document, "python")).replace("patients in common", name)

    with consenting(name):
        run = ran(program, gateway, folder=tmp_path)

    assert run.returncode == 0, run.stderr
    (saved,) = tmp_path.glob("*.csv")
    assert "P-" in saved.read_text()


def ran(program: str, gateway: Gateway, *, folder: Path) -> subprocess.CompletedProcess[str]:
    """As a script in this folder, of somebody who uses this gateway."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "TRIPLEBLIND_GATEWAY_URL": gateway.url},
        capture_output=True,
        text=True,
        timeout=2 * WITHIN_S,
        check=False,
    )


def python_of(line: str) -> str:
    """As Python would read it."""
    for shown, meant in _FILLED_IN.items():
        line = line.replace(shown, meant)
    if line == "}":
        return ")"
    indent = next((depth for begin, depth in _INDENTED.items() if line.startswith(begin)), 0)
    return "    " * indent + line
