"""How long to wait before the next try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.backoff import Backoff


@given(
    failures=st.integers(1, 100_000),
    first_s=st.floats(0.001, 10),
    factor=st.floats(1, 10),
    slowest_s=st.floats(0.001, 60),
)
def test_a_pause_is_never_longer_than_the_slowest_and_never_none(
    failures: int, first_s: float, factor: float, slowest_s: float
) -> None:
    """After days of failures, too: no overflow, no busy loop."""
    pause_s = Backoff(first_s=first_s, factor=factor, slowest_s=slowest_s).pause_s(failures)

    assert min(first_s, slowest_s) / 2 <= pause_s <= slowest_s


@pytest.mark.parametrize(("failures", "longest_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 15.0)])
def test_by_itself_it_waits_as_the_reference_does(failures: int, longest_s: float) -> None:
    """Five tries, half a second, twice as long each time; then slowly on."""
    pauses = [Backoff().pause_s(failures) for _ in range(50)]

    assert Backoff().tries == 5
    assert all(longest_s / 2 <= pause_s <= longest_s for pause_s in pauses)


def test_pauses_differ() -> None:
    """Many gateways must not return to a Router at the same moment."""
    assert len({Backoff().pause_s(3) for _ in range(20)}) > 1
