"""An Access Point as a process: `python -m network.access_point FOLDER`."""

import asyncio

from network.access_point import app
from network.part import part_arguments

if __name__ == "__main__":
    given = part_arguments()
    asyncio.run(app.run(given.folder, with_stdin=given.with_stdin))
