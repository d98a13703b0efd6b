"""One job's process here: start it, pass on what it says, end it, report how it ended."""

import asyncio
import logging
import os
import secrets
import sqlite3
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict
from typing import Any

import msgspec

from network.access_point import assets, failures, outbox, process_groups, results
from network.access_point.failures import Failure
from network.access_point.station import Station
from network.access_point.streams import IN_PROGRESS, Stream
from network.access_point.tasks import Task, held_by_job

_MAX_LINE_BYTES = 16 << 20
_WORKER = (sys.executable, "-m", "network.access_point.worker")
log = logging.getLogger(__name__)


class Runner:
    """From the start order until the job's process group is gone and its end is reported."""

    def __init__(self, station: Station, order: dict[str, Any]) -> None:
        self._station = station
        self._order = order
        self.job_id = str(order["job_id"])
        self._is_initiator = order["terms"]["team"] == station.team
        self._process: Process | None = None
        self._killed = False
        self._is_gone = False
        self._last_words: dict[str, Any] = {}

    def kill(self) -> None:
        """End the whole process group, now."""
        self._killed = True
        if self._process is not None and not self._is_gone:
            process_groups.kill(self._process.pid)

    async def run(self) -> None:
        """Run the job here; its end is reported whatever it is, unless the Access Point itself stops."""
        try:
            task = self._task()
            self._process = process = await self._spawn(task)
            if self._killed:
                process_groups.kill(process.pid)
            self._note_start()
            if process.stdout is not None:
                await self._listen(process.stdout)
            returncode = await process.wait()
            await process_groups.gone(process.pid)
            # From here on the number may belong to others.
            self._is_gone = True
            self._report(returncode)
        except OSError as exc:
            log.exception("job could not be run", extra={"job": self.job_id})
            self._last_words = {"verb": "failed", **asdict(failures.not_run(self._station.team, exc))}
            self._report(-1)
        finally:
            if self._process is not None and not self._is_gone:
                process_groups.kill(self._process.pid)
            self._station.rooms.close(self.job_id)
            self._station.running.pop(self.job_id, None)

    def _task(self) -> Task:
        station, order = self._station, self._order
        token = secrets.token_urlsafe(24)
        senders = {peer["team"]: peer["receive_sha256"] for peer in order["peers"]}
        station.rooms.open(self.job_id, senders=senders, worker_token=token)
        folder = station.jobs / self.job_id
        (folder / "made").mkdir(parents=True, exist_ok=True, mode=0o700)
        terms = order["terms"]
        return Task(
            job_id=self.job_id,
            me=station.team,
            initiator=terms["team"],
            module=order["module"],
            params=terms["params"],
            dataset=terms["dataset"],
            preprocessor=terms["preprocessor"],
            model=terms["model"],
            owners=order["owners"],
            held=held_by_job(station.ledger.db, order, folder=str(station.assets)),
            peers=order["peers"],
            mailbox=f"{station.own_url}/internal/mailbox/{self.job_id}",
            mailbox_token=token,
            folder=str(folder),
        )

    async def _spawn(self, task: Task) -> Process:
        # One thread for each process: several jobs share the machine, and sums come out the same.
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ}
        with (self._station.folder / "access-point.log").open("ab") as log_file:
            process = await asyncio.create_subprocess_exec(
                *_WORKER,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log_file,
                env=environment,
                start_new_session=True,
                limit=_MAX_LINE_BYTES,
            )
        (self._station.jobs / self.job_id / "pid").write_text(str(process.pid))
        if process.stdin is not None:
            # Kept open afterwards: its end tells the process that this Access Point is gone.
            process.stdin.write(task.model_dump_json().encode() + b"\n")
        return process

    def _note_start(self) -> None:
        with self._station.ledger.change() as db:
            if self._is_initiator:
                self._stream(db).status(IN_PROGRESS)
            outbox.put(db, "started", job_id=self.job_id)
        log.info("job started", extra={"job": self.job_id})

    async def _listen(self, said: StreamReader) -> None:
        try:
            async for line in said:
                verb, _, content = line.rstrip(b"\n").partition(b"\t")
                self._hear(verb, content)
        except ValueError:  # a line longer than the limit: nothing a worker of ours says
            self.kill()
            self._killed = False

    def _hear(self, verb: bytes, content: bytes) -> None:
        if verb != b"message":
            self._last_words = {"verb": verb.decode(), **msgspec.json.decode(content)}
        elif self._is_initiator:
            with self._station.ledger.change() as db:
                self._stream(db).message(content)

    def _report(self, returncode: int) -> None:
        words = self._last_words
        # A process that was killed, or died, tells nothing itself.
        heard = self._station.rooms.sent_by(self._station.team, job_id=self.job_id)
        communications = words.get("communications", heard)
        with self._station.ledger.change() as db:
            db.execute("UPDATE jobs SET state = 'ended' WHERE id = ?", (self.job_id,))
            if self._killed:
                outbox.put(db, "gone", job_id=self.job_id, communications=communications)
            elif words.get("verb") == "outcome" and returncode == 0:
                self._report_done(db, words, communications)
            else:
                self._report_failure(db, words, returncode, communications)
        log.info("job ended here", extra={"job": self.job_id, "exit": returncode, "killed": self._killed})

    def _report_done(self, db: sqlite3.Connection, words: dict[str, Any], communications: int) -> None:
        if not self._is_initiator:
            outbox.put(db, "done", job_id=self.job_id, communications=communications)
            return
        made = words["made"]
        for asset in made:
            # The file is in place before anybody can be told of it.
            (self._station.jobs / self.job_id / "made" / asset["file"]).replace(self._station.assets / asset["file"])
            assets.keep(db, asset, job_id=self.job_id)
        result = words["result"]
        results.keep(db, self.job_id, raw_status=result["raw_status"], asset_id=result["asset_id"])
        facts = {"result": {"asset_id": result["asset_id"]}, "made": [assets.told(asset) for asset in made]}
        outbox.put(db, "done", job_id=self.job_id, communications=communications, **facts)

    def _report_failure(
        self, db: sqlite3.Connection, words: dict[str, Any], returncode: int, communications: int
    ) -> None:
        failure = failures.process_died(self._station.team, returncode)
        if words.get("verb") == "failed":
            failure = Failure(error=words["error"], error_code=words["error_code"])
        report_failure(db, self.job_id, failure, communications=communications)

    def _stream(self, db: sqlite3.Connection) -> Stream:
        return Stream(db, self.job_id, epoch=self._station.ledger.epoch)


def report_failure(db: sqlite3.Connection, job_id: str, failure: Failure, *, communications: int = 0) -> None:
    """Tell the Router that this party cannot go on."""
    facts = {"error": failure.error, "error_code": failure.error_code, "communications": communications}
    outbox.put(db, "failed", job_id=job_id, **facts)
