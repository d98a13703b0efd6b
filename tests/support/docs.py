"""The documents as data: their tables, links and names, and their shell blocks, which are run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)

# Where the documents expect things, for a reader; a test puts its own in their place.
SHOWN_GATEWAY = "http://127.0.0.1:8080"
SHOWN_NETWORK = "data/network/network.json"

# Lines of shell blocks that no test runs from there, each with the reason.
NOT_RUN = {
    "make demo": "serves until it is told to stop; `gateway demo --once` is run by a test of its own",
    "make test": "runs this very test",
}

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CURL_REFUSED = 22
_WITHIN_S = 60
# A refusal fails the block, and nothing waits for ever.
_CURLRC = "fail-with-body\nmax-time = 20\n"


@dataclass(frozen=True)
class Block:
    """A shell block; `refused` where the document shows how the gateway says no."""

    document: str
    line: int
    text: str
    refused: bool

    @property
    def script(self) -> str:
        """What bash is told, with a word on where it stands."""
        where = f"echo '# {self.document}:{self.line}' >&2\n"
        if not self.refused:
            return f"{where}{self.text}"
        return f"{where}answer=0; (\n{self.text}) || answer=$?; test $answer -eq {_CURL_REFUSED}\n"


def shell_blocks(document: Path) -> list[Block]:
    """The blocks fenced as `sh`, without the lines that no test runs."""
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            document=document.name,
            line=text.count("\n", 0, fence.start()) + 1,
            text="".join(line for line in fence["text"].splitlines(keepends=True) if line.strip() not in NOT_RUN),
            refused="refused" in fence["info"].split(),
        )
        for fence in _FENCE.finditer(text)
        if fence["info"].split()[:1] == ["sh"]
    ]


def code_blocks(document: Path, language: str) -> list[str]:
    """The blocks fenced as another language, in order."""
    fences = _FENCE.finditer(document.read_text(encoding="utf-8"))
    return [fence["text"] for fence in fences if fence["info"].split()[:1] == [language]]


def lines_not_run(document: Path) -> set[str]:
    """The lines of its shell blocks that are left out when they are run."""
    fences = _FENCE.finditer(document.read_text(encoding="utf-8"))
    return {line for fence in fences for line in fence["text"].splitlines() if line in NOT_RUN}


def run_shell(document: Path, *, gateway: str, network: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a document's blocks, in order, in one session in this folder."""
    script = "\n".join(block.script for block in shell_blocks(document))
    script = script.replace(SHOWN_GATEWAY, gateway).replace(SHOWN_NETWORK, str(network))
    (folder / ".curlrc").write_text(_CURLRC)
    return subprocess.run(
        ["bash", "-euo", "pipefail"],  # noqa: S607  (whichever bash there is)
        input=script,
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )


def rows(document: Path) -> Iterator[list[str]]:
    """The cells of every row of every table, without those that are only lines."""
    for line in document.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and not set(line) <= set("|-: "):
            yield cells


def coded(text: str) -> list[str]:
    """What stands between single backticks, fenced blocks apart."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def links(document: Path) -> list[str]:
    """Where its links point, other sites apart."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


def anchors(document: Path) -> set[str]:
    """The names of its headings, as GitHub makes them."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _environment(folder: Path) -> Mapping[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
