"""Lints both of the API's documents with Spectral: `python -m tests.spectral`. Exit code 0 when it has nothing to say."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.api.description.document import older
from app.main import create_app
from app.settings import Settings
from tests.support.npm import NODE, NotInstalled, packages

_HERE = Path(__file__).parent
_PROGRAM = "@stoplight/spectral-cli/dist/index.js"
_WITHIN_S = 120


def main() -> int:
    """Lint, and say what is wrong."""
    try:
        program = packages(_HERE) / _PROGRAM
    except NotInstalled as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    with TemporaryDirectory() as folder:
        document = create_app(
            Settings(router="http", router_url="http://127.0.0.1:1", router_token="none", data_dir=Path(folder))  # noqa: S106
        ).openapi()
        documents = [_written(made, Path(folder)) for made in (document, older(document))]
        ruleset = _HERE / "ruleset.yaml"
        command: list[str | Path] = [NODE, program, "lint", "--quiet", "--fail-severity=hint"]
        command += ["--ruleset", ruleset, *documents]
        return subprocess.run(command, timeout=_WITHIN_S, check=False).returncode


def _written(document: dict[str, Any], folder: Path) -> Path:
    path = folder / f"openapi-{document['openapi']}.json"
    path.write_text(json.dumps(document, indent=1))
    return path


if __name__ == "__main__":
    sys.exit(main())
