"""What a pattern demands of a name: what RE2 finds must be found by it."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.domain.errors import RegexUnsupported
from app.store.regexes import compiled
from app.store.trigrams import query_of

TABLE = "CREATE VIRTUAL TABLE names USING fts5(name, content='', columnsize=0, detail='none', tokenize='trigram')"
WORDS = (
    "trial",
    "TRIAL",
    "K2-\u017fet",
    "Übersicht",
    "a.b",
    "(x)",
    "[q3]",
    "back\\slash",
    '"said"',
    "kelvin \u212a",
    "x{2}",
)
PIECES = st.sampled_from(
    [
        *("trial", "Übersicht", r"a\.b", r"\(x\)", r"\[q3\]", r"back\\slash", '"said"', "x{2}", "kelvin", "set", "2-"),
        *(
            ".*",
            ".",
            "a?",
            "b*",
            "l+",
            "(tri|al)",
            "(?:al)?",
            "[a-z]+",
            "[]x]",
            r"[^\]]",
            "[[:alpha:]-]",
            r"\d",
            r"\bt",
        ),
        *("|", "^", "$", "{", "a{0,2}", "t{1}", "(?i)", "(?P<n>ia)", r"\x41", r"\Qa.b\E", r"\pL", "(a(b)c)*", "z{,2}"),
    ]
)
PATTERNS = st.lists(PIECES, min_size=1, max_size=6).map("".join) | st.text(max_size=12)
NAMES = st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=4).map("".join)


@pytest.fixture(scope="module")
def names() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(TABLE)
    yield connection
    connection.close()


def has(names: sqlite3.Connection, name: str, query: str) -> bool:
    """Whether the index finds this name, which is alone in it."""
    names.execute("BEGIN")
    names.execute("INSERT INTO names (rowid, name) VALUES (1, ?)", (name.replace("\0", " "),))
    found = names.execute("SELECT rowid FROM names WHERE names MATCH ?", (query,)).fetchall()
    names.execute("ROLLBACK")
    return found == [(1,)]


@settings(max_examples=1_500)
@given(pattern=PATTERNS, name=NAMES)
@example(pattern="(?i)kelvin K", name="KELVIN \u212a")
@example(pattern="(?i)set", name="\u017fet")
@example(pattern=r"back\\slash", name="back\\slash")
@example(pattern="b\0c", name="ab\0cd")
@example(pattern="(?i)straße", name="STRAẞE")
def test_what_is_found_by_the_pattern_is_found_by_what_it_demands(
    names: sqlite3.Connection, pattern: str, name: str
) -> None:
    """It may say too little, never too much."""
    try:
        pattern.encode()
        name.encode()
        found = compiled(pattern).search(name) is not None
    except (RegexUnsupported, UnicodeEncodeError):
        assume(False)
    query = query_of(pattern)

    assert not found or query is None or has(names, name, query)


@pytest.mark.parametrize(
    ("pattern", "query"),
    [
        ("trial", '("tri" AND "ria" AND "ial")'),
        ("^trial-[0-9]+$", '("tri" AND "ria" AND "ial" AND "al-")'),
        (r"a\.b", '("a.b")'),
        ("trials?", '("tri" AND "ria" AND "ial")'),
        ("tri+al", '("tri")'),
        ("one|two", '("one") OR ("two")'),
        ("(bad|worse)-run", '("-ru" AND "run")'),
        ("(?i)bad", '("bad")'),
        ("ab", None),
        ("one|tw", None),
        (".*", None),
        ("(?i)kiss", None),
        (r"\d{4}", None),
        (r"\x41bcdef", None),
        ("(?s)abc", None),
    ],
)
def test_a_pattern_demands_what_stands_in_it(pattern: str, query: str | None) -> None:
    """Whatever else it says."""
    assert query_of(pattern) == query
