"""The Router as a process: `python -m network.router FOLDER`."""

import asyncio

from network.part import part_arguments
from network.router import app

if __name__ == "__main__":
    given = part_arguments()
    asyncio.run(app.run(given.folder, with_stdin=given.with_stdin))
