"""Callers say what they would rather have, and sometimes what they will not."""

import pytest

from app.api.accepting import preferred

FORMS = ("application/json", "text/csv", "application/vnd.apache.parquet")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("application/*", "application/json"),
        ("text/csv, application/json", "text/csv"),
        ("text/csv;q=0.1, application/json", "application/json"),
        ("application/json;q=0, text/csv", "text/csv"),
        ("application/json;q=0.0, */*", "text/csv"),
        ("text/csv;header=present;q=0.5, */*;q=0.4", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("text/csv;q=much", "text/csv"),
        ("application/pdf", None),
        ("application/json;q=0", None),
    ],
)
def test_the_best_of_what_there_is(accept: str, form: str | None) -> None:
    """By quality, then as they are named; an exact name counts before a range."""
    assert preferred(accept, FORMS) == form
