"""What the documents say is true: settings, routes, problems, names, links, and every command they show."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.main import get_command

from app.__main__ import cli
from app.api.problems import STATUSES_OF_CODES
from app.domain.access import Role
from app.domain.actions import Verb
from app.domain.events import Kind
from app.domain.phases import Phase
from app.domain.why import WhyKind
from app.main import create_app
from app.settings import Settings
from tests.browser.chromium import NAMED_BY
from tests.support.docs import (
    DOCUMENTS,
    NOT_RUN,
    ROOT,
    SHOWN_NETWORK,
    anchors,
    coded,
    lines_not_run,
    links,
    rows,
    run_shell,
    shell_blocks,
)
from tests.support.gateway import Gateway
from tests.support.network import RunningNetwork

README = ROOT / "README.md"
API = ROOT / "docs" / "api.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
OPERATIONS = ROOT / "docs" / "operations.md"
SHOWS_COMMANDS = (README, API, OPERATIONS)

NOT_IN_OPENAPI = {"GET /", "GET /docs", "GET /openapi.json", "GET /openapi-3.1.json"}
ROUTE = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE) /[^\s?]*")
OUR_FILES = re.compile(r"(?:app|network|migrations|benchmarks|docs|tests|\.ci)/[\w./-]*")


def named(paths: tuple[Path, ...]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


# Settings


def test_every_setting_is_documented_with_its_default() -> None:
    """A table that is written by hand and looked at by nobody is wrong within a month."""
    shown = {cells[0]: cells[1] for cells in rows(OPERATIONS) if cells[0].startswith("`GATEWAY_")}

    assert shown == {f"`GATEWAY_{name.upper()}`": default for name, default in defaults()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named(DOCUMENTS))
def test_no_document_names_a_setting_that_is_none(document: Path) -> None:
    """Whoever sets it waits for an effect that never comes."""
    settings = {f"GATEWAY_{name.upper()}" for name in Settings.model_fields} | {NAMED_BY}

    assert set(re.findall(r"(?<![A-Z_])GATEWAY_[A-Z][A-Z_]*", document.read_text(encoding="utf-8"))) - settings == set()


# Routes and problems


def test_every_route_is_documented_and_every_documented_route_is_there(tmp_path: Path) -> None:
    """What is not in the document is found by nobody; what is only there is looked for in vain."""
    shown = {match for code in coded(API.read_text(encoding="utf-8")) for match in ROUTE.findall(code)}

    assert shown == routes(tmp_path) | NOT_IN_OPENAPI


def test_every_parameter_is_documented(tmp_path: Path) -> None:
    """A filter that is not named is not used."""
    shown = " ".join(coded(API.read_text(encoding="utf-8")))

    assert {name for name in parameters(tmp_path) if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", shown)} == set()


def test_every_problem_is_documented_with_its_status() -> None:
    """A program can only rely on codes it knows of."""
    shown = {cells[0].strip("`"): cells[1] for cells in rows(API) if len(cells) == 4 and cells[0].startswith("`")}

    assert shown == {code: str(status) for code, status in STATUSES_OF_CODES.items()} | {"http-error": "any other"}


@pytest.mark.parametrize("path", sorted(route.removeprefix("GET ") for route in NOT_IN_OPENAPI))
async def test_pages_outside_of_the_openapi_document_are_there(gateway: Gateway, path: str) -> None:
    """They are named in the documents, and nothing else looks after them."""
    async with gateway.client() as client:
        assert (await client.get(path)).status_code == httpx.codes.OK


# Words


@pytest.mark.parametrize("word", [*Phase, *Kind, *WhyKind, *Role, *Verb])
def test_every_word_of_the_closed_sets_is_explained(word: str) -> None:
    """They are what programs branch on."""
    text = "".join(document.read_text(encoding="utf-8") for document in (ARCHITECTURE, API, OPERATIONS))

    assert f"`{word}`" in text


@pytest.mark.parametrize("document", DOCUMENTS, ids=named(DOCUMENTS))
def test_commands_that_are_named_exist(document: Path) -> None:
    """A verb that was renamed lives on in prose."""
    text = document.read_text(encoding="utf-8")
    verbs = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    commands = list(getattr(get_command(cli), "commands", ()))

    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= set(verbs)
    assert set(re.findall(r"(?:^|`)gateway ([a-z-]+)", text, re.MULTILINE)) <= set(commands)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named(DOCUMENTS))
def test_links_and_file_names_lead_somewhere(document: Path) -> None:
    """Files move, and their names stay behind in prose."""
    assert [link for link in links(document) if not leads_somewhere(document, link)] == []
    assert [name for name in file_names(document) if not exists(name)] == []


# The reference

# Every name of the documented module that this API stands for; signatures belong to clients in Python.
REFERENCE = {
    *("create_job", "fetch_asset", "status_list", "AssetUsageProps", "JobResult", "JobStatus"),
    *("StatusOutputStream", "RemoteStatusOutputStream", "format_status_message", "handle_exception", "remote_status"),
    *("id", "job_name", "metadata", "created", "owner", "dataset", "preprocessor", "operation", "waiting_on", "status"),
    *(
        "model_status",
        "active",
        "find",
        "find_all",
        "result",
        "success",
        "cancel",
        "get_status_stream",
        "kill",
        "submit",
    ),
    *("handle_keyboard_interrupt", "pretty_status_msg", "update_router_status", "update_status", "wait_for_completion"),
    *("wait_for_permission", "waiting_on_permission", "waiting_on_queue", "raw_status", "asset", "table", "dataframe"),
    *("job_id", "code", "when", "communications", "error", "error_code", "max", "silent", "input_file"),
    *("max_retries", "initial_wait", "backoff_factor", "TripleblindAPIError", "TripleblindProcessError"),
    *("InferenceResults", "SplitTrainMetrics", "SplitTrainClassificationReport", "FederatedTrainMetrics"),
    *("NNSMPCMetrics", "NNFEDMetrics", "RegressionTrainingMetrics", "PSIMetrics", "RecommenderTrainMetrics"),
}
SHOWN_BY = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def reference_rows() -> list[list[str]]:
    return [cells for cells in rows(API) if SHOWN_BY.fullmatch(cells[-1])]


def test_every_name_of_the_reference_has_its_place() -> None:
    """What is left out would be missed by whoever moves a script."""
    named = {part for cells in reference_rows() for name in coded(cells[0]) for part in name.split(".")}

    assert REFERENCE - named == set()


@pytest.mark.parametrize("row", reference_rows(), ids=lambda row: row[0][:60])
def test_what_is_said_of_the_reference_is_shown_on_a_running_network(row: list[str]) -> None:
    """Unit tests show nothing of that."""
    found = SHOWN_BY.fullmatch(row[-1])
    assert found is not None
    file, name = ROOT / found[1], found[2]

    text = file.read_text()
    assert f"def {name}(" in text
    assert file.parent.name in {"api", "stream", "network"}
    assert "Caller" in text or "RunningNetwork" in text


# Commands


@pytest.mark.parametrize("document", SHOWS_COMMANDS, ids=named(SHOWS_COMMANDS))
def test_every_command_shown_does_what_it_should(
    own_gateway: Gateway, running_network: RunningNetwork, tmp_path: Path, document: Path
) -> None:
    """The first thing a reader does is copy a command."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("curl and bash are not installed")

    network = running_network.data_dir / Path(SHOWN_NETWORK).name
    done = run_shell(document, gateway=own_gateway.url, network=network, folder=tmp_path)

    assert done.returncode == 0, f"{done.stderr}\n{done.stdout[-2000:]}"


def test_what_is_not_run_is_shown_and_has_a_reason() -> None:
    """The list of exceptions must not outlive what it excepts."""
    assert {line for document in SHOWS_COMMANDS for line in lines_not_run(document)} == set(NOT_RUN)
    assert all(len(shell_blocks(document)) > 1 for document in SHOWS_COMMANDS)


def defaults() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        yield name, {None: "not set", (): "none"}.get(default, f"`{shown}`")


def routes(data_dir: Path) -> set[str]:
    paths = create_app(Settings(data_dir=data_dir)).openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def parameters(data_dir: Path) -> set[str]:
    paths = create_app(Settings(data_dir=data_dir)).openapi()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    return {one["name"] for operation in operations for one in operation.get("parameters", []) if one["in"] != "path"}


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return target.exists() and (not anchor or anchor in anchors(target))


def file_names(document: Path) -> list[str]:
    return [code for code in coded(document.read_text(encoding="utf-8")) if OUR_FILES.fullmatch(code)]


def exists(name: str) -> bool:
    return (ROOT / name).exists() or (ROOT / f"{name}.py").exists()
