"""What the Router asks of the Access Points: kept until they have taken it, told in order.

agreement      {agreement}                   the team made a standing agreement, with these terms
agreement-end  {agreement_id}                the team ended it
grant   {job_id, asset_id, terms, agreement_id}  the owner of the asset, or its agreement, accepted exactly these terms
submit  {job_id, missing}                    to the initiator: the job's stream begins
start   {job_id, terms, module, params, peers}  run the job's process
kill    {job_id}                             end the job's processes: report `stopping` where any run, then `gone`
end     {job_id, outcome, …}                 to the initiator: the job is decided, the stream ends
drop    {asset_id}                           forget a temporary asset and its bytes
"""

import sqlite3

import msgspec


def give(db: sqlite3.Connection, team: str, *, kind: str, **facts: object) -> None:
    """Leave an order for the team's Access Point, within the transaction that decided it."""
    content = msgspec.json.encode({"kind": kind, **facts})
    db.execute("INSERT INTO orders (team, document) VALUES (?, ?)", (team, content))


def pending(db: sqlite3.Connection, team: str, *, after: int) -> list[tuple[int, bytes]]:
    """The team's orders past `after`, oldest first."""
    sql = "SELECT sequence, document FROM orders WHERE team = ? AND sequence > ? ORDER BY sequence LIMIT 100"
    return [(row["sequence"], row["document"]) for row in db.execute(sql, (team, after))]


def forget(db: sqlite3.Connection, team: str, *, up_to: int) -> None:
    """Drop what the Access Point has taken."""
    db.execute("DELETE FROM orders WHERE team = ? AND sequence <= ?", (team, up_to))
