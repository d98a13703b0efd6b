"""`docker-compose.yml` without Docker: every service as a process, told what it would be told in its container.

Only what Docker itself provides is put in its place: a folder for each volume, a free port of this machine for each port
of a container, 127.0.0.1 for the services' names. And for 0.0.0.0, so that no test opens a port to others.
"""

import os
import re
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import Family

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"

_HEALTHY_WITHIN_S = 60.0
_COMMAND_WITHIN_S = 60.0
_LOOK_AGAIN_S = 0.1
_LOWEST_PORT, _PORTS = 20_000, 12_000  # below those that the kernel gives to outgoing connections
_LOOPBACK = "127.0.0.1"
_ANYWHERE = "0.0.0.0"  # noqa: S104  (put out of the way, not bound)

Definition = dict[str, Any]
Replace = Callable[[str], str]


# What the files say


def composed() -> Definition:
    """The whole file, its merges made."""
    content: Definition = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return content


def services() -> dict[str, Definition]:
    """Each service by its name."""
    return dict(composed()["services"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A volume's place in a container."""

    volume: str
    path: str
    read_only: bool


def mounts(service: Definition) -> list[Mount]:
    """The volumes of a service."""
    parts = [[*entry.split(":"), ""] for entry in service["volumes"]]
    return [Mount(volume=volume, path=path, read_only=mode == "ro") for volume, path, mode, *_ in parts]


def container_ports(service: Definition) -> list[int]:
    """The ports that a service listens on in its container."""
    published = [entry.rpartition(":")[2] for entry in service.get("ports", [])]
    ends = [[int(end) for end in entry.split("-")] for entry in [*service.get("expose", []), *published]]
    return [port for first, *last in ends for port in range(first, (last or [first])[0] + 1)]


def seconds(duration: str) -> float:
    """Of a duration as both files write them."""
    return float(duration.removesuffix("s"))


class Image:
    """What the last stage of the Dockerfile makes."""

    @cached_property
    def instructions(self) -> list[tuple[str, str]]:
        """Each with its arguments, in order."""
        whole = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        lines = [line.split(maxsplit=1) for line in whole.replace("\\\n", " ").splitlines() if line.strip()]
        stage = max(number for number, line in enumerate(lines) if line[0] == "FROM")
        return [(name, arguments.strip()) for name, arguments in lines[stage:]]

    def last(self, name: str) -> str:
        """The arguments of the instruction that counts: the last of its name."""
        return [arguments for one, arguments in self.instructions if one == name][-1]

    def listed(self, name: str) -> list[str]:
        """Those of an instruction in its exec form."""
        content: list[str] = yaml.safe_load(self.last(name))
        return content

    @property
    def environment(self) -> dict[str, str]:
        """What every container has, the search path apart."""
        pairs = [pair for name, given in self.instructions if name == "ENV" for pair in shlex.split(given)]
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs) if name != "PATH"}

    @property
    def commands(self) -> Iterator[list[str]]:
        """Every command that is run while it is made."""
        for name, given in self.instructions:
            if name == "RUN":
                yield from (shlex.split(command) for command in given.split("&&"))


IMAGE = Image()


# What runs


class Composition:
    """The services as processes, each started, asked and stopped as the file says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services = services()
        self._ports = _free_ports([port for service in self._services.values() for port in container_ports(service)])
        self._containers: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, service: str) -> str:
        """Where the service's one published port is reached."""
        (port,) = (entry.rpartition(":")[2] for entry in self._services[service]["ports"])
        return f"http://{_LOOPBACK}:{self._ports[int(port)]}"

    def volume(self, name: str) -> Path:
        """The folder that stands for it."""
        return self._folder / "volumes" / name

    def up(self) -> None:
        """`docker compose up --wait`: each service when those it waits for are healthy, until all are."""
        while waiting := [name for name in self._services if name not in self._containers]:
            free = [name for name in waiting if _waits_for(self._services[name]) <= self._containers.keys()]
            assert free, f"{waiting} wait for one another"
            self._start(free[0])
            self._await_healthy(free[0])

    def run(self, service: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`docker compose run`: what the image starts, with other arguments, in a container of its own."""
        return self._within(service, [*self._entrypoint(service), *arguments])

    def exec(self, service: str, *command: str, told: str = "") -> subprocess.CompletedProcess[str]:
        """`docker compose exec`: any command beside the one that runs; `told` goes to its standard input."""
        assert service in self._containers, f"{service} does not run"
        return self._within(service, command, told=told)

    def stop(self) -> dict[str, tuple[int, list[str]]]:
        """`docker compose stop`, last started first: exit codes, and the command lines of what outlived its service."""
        return {name: self._stop(name) for name in reversed(list(self._containers))}

    def end(self) -> None:
        """See all out, whatever their state."""
        for name in reversed(list(self._containers)):
            self._end(name)

    def log(self, service: str) -> str:
        """What it wrote."""
        return (self._folder / f"{service}.log").read_text()

    def _start(self, service: str) -> None:
        command = [*self._entrypoint(service), *self._command(service)]
        for mount in mounts(self._services[service]):
            self.volume(mount.volume).mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / f"{service}.log").open("ab") as log:
            self._containers[service] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._place(service),
            )

    def _await_healthy(self, service: str) -> None:
        check = self._services[service]["healthcheck"]
        assert check["test"][0] == "CMD", "a shell is not needed to ask"
        deadline = time.monotonic() + _HEALTHY_WITHIN_S
        while (asked := self._within(service, check["test"][1:], within_s=seconds(check["timeout"]))).returncode:
            ended = self._containers[service].poll()
            assert ended is None, f"{service} ended with {ended}: {self.log(service)}"
            assert time.monotonic() < deadline, f"{service} is not healthy: {asked.stderr} {self.log(service)}"
            time.sleep(_LOOK_AGAIN_S)  # nobody rings: Docker asks again and again, too

    def _stop(self, service: str) -> tuple[int, list[str]]:
        with Family(self._containers[service].pid) as family:
            code = self._end(service)
            return code, family.left_over(within_s=_LOOK_AGAIN_S)

    def _end(self, service: str) -> int:
        process = self._containers.pop(service)
        process.terminate()
        try:
            return process.wait(seconds(self._services[service]["stop_grace_period"]))
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _within(
        self, service: str, command: Sequence[str], *, told: str = "", within_s: float = _COMMAND_WITHIN_S
    ) -> subprocess.CompletedProcess[str]:
        replace = self._replace(service)
        return subprocess.run(
            [replace(part) for part in command],
            input=replace(told),
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
            **self._place(service),
        )

    def _entrypoint(self, service: str) -> list[str]:
        given = self._services[service].get("entrypoint") or IMAGE.listed("ENTRYPOINT")
        return [self._replace(service)(part) for part in given]

    def _command(self, service: str) -> list[str]:
        # Where a file names an entrypoint of its own, Docker leaves the image's command out.
        of_image = [] if "entrypoint" in self._services[service] else IMAGE.listed("CMD")
        return [self._replace(service)(part) for part in self._services[service].get("command", of_image)]

    def _place(self, service: str) -> dict[str, Any]:
        """The folder and the environment of all that runs in the service's container."""
        replace = self._replace(service)
        given = IMAGE.environment | self._services[service].get("environment", {})
        home = replace(_home_of_the_user())
        path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        environment = {"PATH": path, "HOME": home} | {name: replace(value) for name, value in given.items()}
        return {"cwd": replace(IMAGE.last("WORKDIR")), "env": environment}

    def _replace(self, service: str) -> Replace:
        return _replacing(
            folders={mount.path: str(self.volume(mount.volume)) for mount in mounts(self._services[service])},
            ports={str(ours): str(free) for ours, free in self._ports.items()},
            hosts=dict.fromkeys(self._services, _LOOPBACK),
        )


def _replacing(*, folders: Mapping[str, str], ports: Mapping[str, str], hosts: Mapping[str, str]) -> Replace:
    """Puts this machine's words in the place of a container's, all at once, so that nothing is replaced twice."""
    words = {**folders, **ports, **hosts, _ANYWHERE: _LOOPBACK}
    pattern = re.compile(
        rf"(?<![\w./-])(?:{_any_of(folders)})(?![\w.-])"
        rf"|(?<=//)(?:{_any_of(hosts)})(?![\w.-])"
        rf"|(?<![\w.-])(?:{_any_of(ports)}|{re.escape(_ANYWHERE)})(?![\w.-])"
    )
    return lambda text: pattern.sub(lambda found: words[found[0]], text)


@contextmanager
def started(folder: Path) -> Iterator[Composition]:
    """All services, healthy, for as long as the block lasts."""
    composition = Composition(folder)
    try:
        composition.up()
        yield composition
    finally:
        composition.end()


def _any_of(words: Mapping[str, str]) -> str:
    return "|".join(re.escape(word) for word in words)


def _waits_for(service: Definition) -> set[str]:
    waited_for: dict[str, Definition] = service.get("depends_on", {})
    assert all(how["condition"] == "service_healthy" for how in waited_for.values())
    return set(waited_for)


def _home_of_the_user() -> str:
    # Docker looks it up in the image's /etc/passwd.
    made = next(command for command in IMAGE.commands if command[0] == "useradd")
    return made[made.index("--home-dir") + 1]


def _free_ports(wanted: Sequence[int]) -> dict[int, int]:
    """A free port for each; what stands in a row stays in one, as the network wishes it."""
    assert len(set(wanted)) == len(wanted), "two services with one port: who is meant?"
    while True:
        first = _LOWEST_PORT + secrets.randbelow(_PORTS - len(wanted))
        chosen = dict(zip(sorted(wanted), range(first, first + len(wanted)), strict=True))
        if all(_is_free(port) for port in chosen.values()):
            return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True
