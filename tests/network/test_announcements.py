"""Tables that were announced and never came."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from network.clock import ago
from network.ledger import Ledger
from network.refusals import Refusal
from network.router import assets
from network.router.tables import TABLES


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A Router's, empty."""
    opened = Ledger(tmp_path / "router.sqlite", TABLES)
    yield opened
    opened.close()


def test_an_announcement_is_in_no_list_before_its_bytes(ledger: Ledger) -> None:
    asset_id = assets.announce(ledger.db, team="globex", name="coming")["id"]

    assert assets.matching(ledger.db, name=None, team=None, kind=None) == []
    with pytest.raises(Refusal):
        assets.find(ledger.db, asset_id)


def test_an_announcement_older_than_a_day_is_dropped_with_the_next(ledger: Ledger) -> None:
    """Their passes have long expired: nothing can come any more."""
    for name in ("old", "young", "arrived"):
        assets.announce(ledger.db, team="globex", name=name)
    ledger.db.execute("UPDATE assets SET ready = 1 WHERE name = 'arrived'")
    ledger.db.execute("UPDATE assets SET created = ? WHERE name <> 'young'", (ago(days=2),))

    assets.announce(ledger.db, team="globex", name="new")

    left = [row["name"] for row in ledger.rows("SELECT name FROM assets ORDER BY name")]
    assert left == ["arrived", "new", "young"]
