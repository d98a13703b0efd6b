"""What a pattern demands of a name: what RE2 finds must be found by it."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.domain.errors import RegexUnsupported
from app.store.regexes import compiled
from app.store.trigrams import demanded_by, query_of

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
    "trial-4107",
    "ab",
    "x4-7",
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
        *(
            "-4[0-9]*7",
            r"l\d+-",
            "[ab]?",
            "[a-c]+b",
            r"[\]x\d]",
            "[-x]",
            "[x-]4",
            "i{1,2}?",
            "[Tt]r",
            "a{0}",
            "-4",
            "7$",
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
@example(pattern=r"ab[\d-x]", name="abx")
@example(pattern="xa{\u0663}b", name="xa{\u0663}b")
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
    demanded = demanded_by(pattern)

    assert not found or demanded is None or has(names, name, query_of(demanded, usual=WORDS))


@pytest.mark.parametrize(
    ("pattern", "query"),
    [
        ("trial", '("tri" AND "ria" AND "ial")'),
        ("^trial-[1-3]+$", '("tri" AND "ria" AND "ial" AND "al-" AND ("l-1" OR "l-2" OR "l-3"))'),
        ("-4[01]*7$", '(("-40" OR "-41" OR "-47"))'),
        ("m[ae]th", '(("mat" OR "met") AND ("ath" OR "eth"))'),
        (
            "[a-p]th-run",
            "(("
            + " OR ".join(f'"{one}th"' for one in "abcdefghijklmnop")
            + ') AND "th-" AND "h-r" AND "-ru" AND "run")',
        ),
        ("[a-z]th-run", '("th-" AND "h-r" AND "-ru" AND "run")'),
        (r"a\.b", '("a.b")'),
        ("trials?", '("tri" AND "ria" AND "ial")'),
        ("tri+al", '("tri" AND ("ria" OR "rii") AND ("ial" OR "iia" OR "iii"))'),
        ("ab{0}cd", '("acd")'),
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
    demanded = demanded_by(pattern)

    assert (None if demanded is None else query_of(demanded)) == query


def test_a_pattern_of_many_that_may_be_absent_is_seen_through_at_once() -> None:
    """As long as a query may be; looked at way by way it would take minutes."""
    assert demanded_by("a?" * 248 + "bcd") is not None


def test_what_most_names_have_is_not_looked_up() -> None:
    """It would be gone through for each of the few that have the rest."""
    demanded = demanded_by("trial-[a-z]+-4[0-3]")

    assert demanded is not None
    assert query_of(demanded, usual=["trial-amber-711"] * 9 + ["nightly"]) == '(("-40" OR "-41" OR "-42" OR "-43"))'
