"""The tables a team holds from the start, written by a process of its own so that the Access Point stays light.

`python -m network.access_point.supply TEAM FOLDER` answers on standard output what it wrote.
"""

import sys
from pathlib import Path
from uuid import uuid4

import msgspec

from network.access_point import formats
from network.access_point.assets import SUFFIXES
from network.data.tables import DemoTable, tables_of


def main() -> int:
    """Write the team's tables into the folder."""
    team, folder = sys.argv[1], Path(sys.argv[2])
    written = [_write(demo, folder) for demo in tables_of(team)]
    sys.stdout.buffer.write(msgspec.json.encode(written))
    return 0


def _write(demo: DemoTable, folder: Path) -> dict[str, object]:
    asset_id = str(uuid4())
    file = f"{asset_id}{SUFFIXES['table']}"
    formats.store(demo.table, folder / file)
    described = {"id": asset_id, "name": demo.name, "kind": "table", "records": demo.table.num_rows, "file": file}
    return described | {"columns": formats.columns(demo.table, demo.roles)}


if __name__ == "__main__":
    sys.exit(main())
