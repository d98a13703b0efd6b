"""A short soak: as long as a test may take, with what `make soak` does for ten minutes."""

from pathlib import Path

import pytest

from tests.soak.course import Wanted, soak


@pytest.mark.full
@pytest.mark.timeout(400)
async def test_after_a_minute_of_faults_the_history_is_what_the_router_and_the_access_points_have_on_record(
    tmp_path: Path,
) -> None:
    """Row by row: each fault has tests of its own, and this is for what they do to each other."""
    told: list[str] = []

    outcome = await soak(Wanted(minutes=1, jobs=6, viewers=10, seed=1), tmp_path, tell=told.append)

    assert outcome.differences == [], "\n".join([*told, *map(str, outcome.faults)])
    assert len(outcome.faults) >= 3
    assert all(one.rows for one in outcome.compared)
