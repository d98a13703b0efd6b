"""Names found by RE2."""

from contextlib import suppress

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from app.domain.errors import RegexUnsupported
from app.store import regexes as module_under_test
from app.store.regexes import AS_FUNCTION, compiled, deadline, places_of

_NAME, _ARGUMENTS, in_time = AS_FUNCTION
_ATOMS = (
    *("a", "b", "B", "é", "-", ".", "^", "$", "|", "a*", "b+", "x{2}", "(a|b)", "(?:ab)?", "(?P<n>a)", "(?U)a*"),
    *(r"\b", r"\B", r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\PL", r"\n", r"\n?", r"\C", r"\A", r"\z", r"\Qa.\E"),
    *(
        "[ab]",
        "[^a]",
        r"[^\n]",
        r"[\s]",
        "[[:space:]]",
        "[[:^alpha:]]",
        r"\x0a",
        r"[\t-\r]",
        r"\v",
        "(?i)A",
        "(?i:B)",
        "(?s:.)",
        "(?m:^)",
        "(?-m:^)",
        "(?i-s:a)",
    ),
)


def found(pattern: str, text: str) -> bool:
    return in_time(pattern, text, deadline(60))


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("", "anything", True),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("^abc$", "abc", True),
        ("ABC", "abc", False),
        ("(?i)ABC", "abc", True),
        ("(?i)ÜBER", "über", True),
        ("^.$", "é", True),
        (r"\p{Greek}+", "the λ cohort", True),
        (r"\bq3\b", "trial-q3-2026", True),
        ("a.c", "a\nc", False),
        ("c$", "a\0c", True),
    ],
)
def test_a_pattern_is_found_anywhere_in_the_text(pattern: str, text: str, is_found: bool) -> None:
    """By characters, not by bytes; anchors are for whoever writes them."""
    assert found(pattern, text) is is_found


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        "(?<!a)b",
        r"(a)\1",
        "(?>a)",
        "a++",
        "(",
        "[",
        "*",
        "a{1001}",
        "((a{100}){100}){100}",
    ],
)
def test_what_re2_does_not_know_is_refused_with_its_own_words(pattern: str) -> None:
    """Also what would take more memory than a pattern may."""
    with pytest.raises(RegexUnsupported, match=r"RE2 does not take this pattern \(.+\)") as refused:
        compiled(pattern)

    assert refused.value.facts == {"field": "name_regex"}


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){20}$", "(a?){50}a{50}$"])
def test_a_pattern_made_to_hang_answers(pattern: str) -> None:
    """Backtracking would take longer than the sun lasts; the test's own deadline is the assertion."""
    assert not found(pattern, "a" * 40 + "b")


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_pattern_there_is_an_answer_or_a_refusal(pattern: str, text: str) -> None:
    """No other failure reaches the database."""
    with suppress(RegexUnsupported):
        assert found(pattern, text) in (True, False)


@settings(max_examples=1000)
@given(
    st.lists(st.sampled_from(_ATOMS), max_size=5).map("".join),
    st.lists(st.text("abB1 -éx\\.\n", max_size=6), max_size=8),
)
def test_many_texts_are_looked_at_as_each_would_be(pattern: str, texts: list[str]) -> None:
    """Though RE2 sees them as the lines of one: no line's end is anything to a pattern."""
    try:
        each = [place for place, text in enumerate(texts) if compiled(pattern).search(text)]
    except RegexUnsupported:
        reject()

    assert places_of(pattern, texts) == each


def test_what_was_looked_at_is_known_when_it_is_looked_at_again() -> None:
    """A feed that ran out of time goes on from there, and not from the beginning for ever."""
    name = "x" * 190 + "unique to this test"
    found("uniq.e", name)
    before = module_under_test._is_found.cache_info().hits

    assert found("uniq.e", name)
    assert module_under_test._is_found.cache_info().hits == before + 1
