"""What a list is compared with: an empty answer, and a page as it is usually made. `python -m benchmarks._plain FILE`."""

import socket
import sys
from collections.abc import Iterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Response
from sqlmodel import Session, col, create_engine, select

from app.api.schemas.jobs import JobPage, JobView
from app.store.tables import JobRow, StateRow

app = FastAPI()
_engine = create_engine(f"sqlite:///{sys.argv[1]}", connect_args={"check_same_thread": False})


def _session() -> Iterator[Session]:
    with Session(_engine) as session:
        yield session


@app.get("/empty")
async def empty() -> Response:
    """The least that FastAPI answers."""
    return Response(b"{}", media_type="application/json")


@app.get("/jobs")
def jobs(session: Annotated[Session, Depends(_session)]) -> JobPage:
    """The newest jobs, by the ORM and a model of the answer: the same lines, and the same fields in them."""
    newest = select(JobRow, StateRow).join(StateRow, col(StateRow.key) == col(JobRow.key))
    rows = session.exec(newest.order_by(col(JobRow.key).desc()).limit(50)).all()
    items = [JobView.model_validate_json(state.shown) for _, state in rows]
    return JobPage(items=items, next_cursor=None, partial=False, as_of=0, observed_at=None, stale=False)


def main() -> None:
    """Serve on a free port as the gateway does, and say which."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
