"""What the house says about itself is true: its verbs, its locks, its imports, its packages."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERBS = {
    "help",
    "demo",
    "serve",
    "test",
    "test-full",
    "lint",
    "types",
    "soak",
    "bench",
    "bench-peers",
    "migrate",
    "lock",
}
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
PROGRAMS = ("app", "network")

# Not every platform has wheels for it, so the installed packages cannot always tell.
DISTRIBUTION_OF = {"private_set_intersection": "openmined-psi"}

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CLIENT = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = PYPROJECT["dependency-groups"]


# The Makefile and .ci/run


def test_every_verb_is_phony_and_has_a_help_line() -> None:
    """A folder called `lint` must not stop the verb, and a verb without a line is not found."""
    makefile = text_of("Makefile")

    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    helped = re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)

    assert set(phony[0].split()) == VERBS
    assert set(helped) == VERBS


@pytest.mark.parametrize("arguments", [(), ("help",)])
def test_make_alone_lists_every_verb(arguments: tuple[str, ...]) -> None:
    """Whoever types `make` first wants to know what there is."""
    make = shutil.which("make") or pytest.skip("make is not installed")

    listing = output_of(make, "--no-print-directory", *arguments)

    assert {line.split()[1] for line in listing.splitlines()} == VERBS


def test_ci_runs_the_tests_and_nothing_else() -> None:
    """What CI checks and what a developer checks are one command."""
    script = ROOT / ".ci" / "run"
    preparations = re.compile(r"#|set -|cd |$")

    commands = [line for line in script.read_text(encoding="utf-8").splitlines() if not preparations.match(line)]

    assert commands == ["exec make test"]
    assert os.access(script, os.X_OK)


def test_only_verbs_that_run_tests_bring_a_browser() -> None:
    """It is large, and whoever tries the demo has no use for it."""
    verbs = re.findall(r"^([a-z-]+):.*\$\(browser\)", text_of("Makefile"), re.MULTILINE)

    assert verbs == ["test", "test-full"]


# The locks


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_versions_and_hashes_and_no_addresses(lock: str) -> None:
    """Where packages come from is the business of whoever installs."""
    lines = text_of(lock).splitlines()
    requirement = re.compile(r"[a-z0-9._-]+==[^\s;]+( ; [^\\]+)? \\")
    hash_ = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?")

    assert all(requirement.fullmatch(line) or hash_.fullmatch(line) for line in lines)
    assert all(hash_.fullmatch(after) for line, after in pairwise(lines) if line[0] != " ")


@pytest.mark.parametrize("part", ["requirements.lock", "requirements-build.lock"])
def test_the_development_lock_contains_the_others_in_equal_versions(part: str) -> None:
    """What is tested is what runs."""
    developed_with = locked(text_of("requirements-dev.lock"))

    assert {name: developed_with.get(name) for name in locked(text_of(part))} == locked(text_of(part))


def test_the_locks_know_every_declared_dependency() -> None:
    """A dependency was declared and `make lock` forgotten."""
    to_run = names(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    to_build = names(PYPROJECT["build-system"]["requires"], GROUPS["build"])
    to_develop = names(*GROUPS.values())

    assert to_run <= locked(text_of("requirements.lock")).keys()
    assert to_build <= locked(text_of("requirements-build.lock")).keys()
    assert to_develop <= locked(text_of("requirements-dev.lock")).keys()


def test_the_lock_of_the_browser_holds_exact_versions_and_hashes_and_no_addresses() -> None:
    """A version range would bring every developer another browser, and an address would name one of many places."""
    declared = json.loads(text_of("tests/browser/package.json"))["dependencies"]
    lock = text_of("tests/browser/package-lock.json")
    root, *packages = json.loads(lock)["packages"].values()
    exact = re.compile(r"\d+\.\d+\.\d+")

    assert root["dependencies"] == declared
    assert [version for version in declared.values() if not exact.fullmatch(version)] == []
    assert [one for one in packages if not exact.fullmatch(one["version"])] == []
    assert [one for one in packages if not one["integrity"].startswith("sha512-")] == []
    assert '"resolved"' not in lock
    assert "://" not in lock


def test_npm_writes_no_addresses_and_runs_nobodys_scripts() -> None:
    """The lock stays as it should be when it is written anew, and a package has no say in what is run."""
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(
        text_of("tests/browser/.npmrc").splitlines()
    )


# The programs


@pytest.mark.parametrize(
    ("program", "declared"),
    [
        ("app", [PROJECT["dependencies"]]),
        ("network", [PROJECT["dependencies"], PROJECT["optional-dependencies"]["network"]]),
        ("clients/python/tripleblind_gateway", [CLIENT["dependencies"], CLIENT["optional-dependencies"]["dataframe"]]),
    ],
)
def test_what_a_program_imports_is_declared(program: str, declared: list[list[str]]) -> None:
    """What comes along with another package leaves with it too."""
    own = {Path(program).name, *sys.stdlib_module_names}
    installed = packages_distributions()

    undeclared = {
        f"{source.relative_to(ROOT)} imports {module}"
        for source in sources(program)
        for module in imported_by(source) - own
        if not distributions(module, installed) & names(*declared)
    }

    assert undeclared == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_package_file_holds_a_docstring_and_no_code(program: str) -> None:
    """Importing a package has no effects, and its first line says what lives there."""
    packages = [source for source in sources(program) if source.name == "__init__.py"]

    assert [str(package.relative_to(ROOT)) for package in packages if not is_docstring_alone(package)] == []


# The repository


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """Such a path works for one person."""
    a_machine = re.compile(rb"(?<![\w.$}/-])/(?:home|root|work|Users)/\w")

    assert [str(path) for path in tracked_files() if a_machine.search((ROOT / path).read_bytes())] == []


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def output_of(program: str, *arguments: str) -> str:
    # A make around this one would otherwise pass its own options down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        [program, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout


def locked(lock: str) -> Mapping[str, set[str]]:
    """Each package's versions: a package may have one for older Pythons and one for newer ones."""
    versions = defaultdict(set)
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.MULTILINE):
        versions[name].add(version)
    return versions


def names(*requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[^\w.-]", line)[0]) for lines in requirements for line in lines}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def sources(program: str) -> Iterator[Path]:
    return (ROOT / program).rglob("*.py")


def imported_by(source: Path) -> set[str]:
    """The first part of every module's name; relative imports stay within the program."""
    nodes = list(ast.walk(ast.parse(source.read_bytes())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {module.partition(".")[0] for module in plain | from_}


def distributions(module: str, installed: Mapping[str, list[str]]) -> set[str]:
    if module in DISTRIBUTION_OF:
        return {DISTRIBUTION_OF[module]}
    return {normal(name) for name in installed.get(module, [module])}


def is_docstring_alone(source: Path) -> bool:
    module = ast.parse(source.read_bytes())
    return ast.get_docstring(module) is not None and len(module.body) == 1


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = [Path(name) for name in output_of(git, "ls-files", "-z").split("\0") if name]
    return [path for path in listed if (ROOT / path).is_file()]
