"""What the Router ordered, done once each: the effect and the place in the orders are kept together."""

import sqlite3
from collections.abc import Callable
from typing import Any

from network.access_point import agreements, assets, grants, outbox, results, tasks
from network.access_point.runner import Runner, report_failure
from network.access_point.station import Station
from network.access_point.streams import COMPLETE, ERROR, Stream
from network.ledger import note_fact

_WAITING = b'"waiting on permission"'
_STARTING = b'"starting"'


class Orders:
    """Applies orders in sequence; `launch` is handed the runner of a job that starts."""

    def __init__(self, station: Station, *, launch: Callable[[Runner], None]) -> None:
        self._station = station
        self._launch = launch
        self._doing = {
            "agreement": self._agreement,
            "agreement-end": self._agreement_end,
            "grant": self._grant,
            "submit": self._submit,
            "start": self._start,
            "kill": self._kill,
            "end": self._end,
            "drop": self._drop,
        }

    @property
    def after(self) -> int:
        """The last order that was taken."""
        return int(self._station.ledger.fact("orders_after") or 0)

    @property
    def epoch(self) -> str:
        """The Router's storage that the last order came from; empty before the first."""
        return self._station.ledger.fact("orders_epoch") or ""

    def begin(self, epoch: str) -> None:
        """The Router told its epoch; a new storage knows nothing of the assets here."""
        if epoch == self.epoch:
            return
        with self._station.ledger.change() as db:
            for asset in assets.named(db) if self.epoch else []:
                assets.report(db, asset)
            note_fact(db, "orders_epoch", value=epoch)
            note_fact(db, "orders_after", value="0")

    def take(self, sequence: int, order: dict[str, Any]) -> None:
        """Do what is ordered, unless it was done before."""
        if sequence <= self.after:
            return
        with self._station.ledger.change() as db:
            note_fact(db, "orders_after", value=str(sequence))
            afterwards = self._doing[order["kind"]](db, order)
        if afterwards is not None:
            afterwards()

    def _agreement(self, db: sqlite3.Connection, order: dict[str, Any]) -> None:
        agreements.record(db, order["agreement"])

    def _agreement_end(self, db: sqlite3.Connection, order: dict[str, Any]) -> None:
        agreements.end(db, order["agreement_id"])

    def _grant(self, db: sqlite3.Connection, order: dict[str, Any]) -> None:
        asset_id, terms, agreement_id = order["asset_id"], order["terms"], order.get("agreement_id")
        if agreement_id is None:
            grants.record(db, asset_id, terms=terms)
        else:
            grants.record_by_agreement(db, asset_id, terms=terms, agreement_id=agreement_id)

    def _submit(self, db: sqlite3.Connection, order: dict[str, Any]) -> None:
        db.execute("INSERT OR IGNORE INTO jobs (id, state) VALUES (?, 'waiting')", (order["job_id"],))
        if order["missing"]:
            self._stream(db, order).message(_WAITING)

    def _start(self, db: sqlite3.Connection, order: dict[str, Any]) -> Callable[[], None] | None:
        sql = "INSERT INTO jobs (id, state) VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state"
        if order["terms"]["team"] == self._station.team:
            self._stream(db, order).message(_STARTING)
        refusal = tasks.refusal(db, order, team=self._station.team)
        db.execute(sql, (order["job_id"], "running" if refusal is None else "ended"))
        if refusal is not None:
            report_failure(db, order["job_id"], refusal)
            return None
        return lambda: self._launch(Runner(self._station, order))

    def _kill(self, db: sqlite3.Connection, order: dict[str, Any]) -> Callable[[], None] | None:
        running = self._station.running.get(order["job_id"])
        if running is None:
            outbox.put(db, "gone", job_id=order["job_id"])
            return None
        outbox.put(db, "stopping", job_id=order["job_id"])
        return running.kill

    def _end(self, db: sqlite3.Connection, order: dict[str, Any]) -> None:
        sql = """INSERT INTO jobs (id, state, decided) VALUES (?, 'ended', 1)
                 ON CONFLICT DO UPDATE SET decided = 1 WHERE decided = 0"""
        if db.execute(sql, (order["job_id"],)).rowcount != 1:
            return
        stream, outcome = self._stream(db, order), order["outcome"]
        if outcome == "complete":
            result = results.of(db, order["job_id"])
            stream.status(COMPLETE, communications=order["communications"], result=result)
        else:
            results.drop(db, order["job_id"])
            assets.drop_made_by(db, order["job_id"], folder=self._station.assets)
        if outcome == "error":
            # The Router knows what was reported; those who are being stopped have said more than that by mail.
            communications = max(order["communications"], self._station.rooms.communications(order["job_id"]))
            stream.status(ERROR, communications=communications, error=order["error"], error_code=order["error_code"])
        stream.end(outcome)

    def _drop(self, db: sqlite3.Connection, order: dict[str, Any]) -> None:
        assets.drop_uploaded(db, order["asset_id"], folder=self._station.assets)

    def _stream(self, db: sqlite3.Connection, order: dict[str, Any]) -> Stream:
        return Stream(db, order["job_id"], epoch=self._station.ledger.epoch)
