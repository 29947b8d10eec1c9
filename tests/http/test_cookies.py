"""The cookies that count, in the spelling of the cache key."""

from __future__ import annotations

import pytest
from django.http import parse_cookie
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.http.cookies import CookieRules

RULES = CookieRules(ignored=("_ga*",), visitor=frozenset({"sessionid"}), seen=frozenset({"language"}))


@pytest.mark.parametrize(
    "field",
    ["a=1; b=2", "b=2; a=1", "b=2;a=1", "_ga=x; a=1; b=2; _ga_1=y", "sessionid=s; b=2; a=1", " a=1 ; ; b=2;"],
)
def test_spellings_of_the_same_cookies_have_one_key(field):
    assert RULES.key(field) == "a=1;b=2"


@pytest.mark.parametrize(
    ("one", "other"),
    [("a=1; a=2", "a=2; a=1"), ("a=", ""), ("a", "a="), ("A=1", "a=1"), ("language=de", ""), ('a="1"', "a=1")],
)
def test_cookies_that_a_view_can_tell_apart_have_keys_of_their_own(one, other):
    assert RULES.key(one) != RULES.key(other)


def test_those_of_the_visitor_count_where_they_tell_pages_apart():
    assert RULES.with_visitor_in_key().key("sessionid=s; _ga=x") == "sessionid=s"


def test_a_list_of_the_only_ones_that_count():
    rules = CookieRules(allowed=("theme", "ab_*"), visitor=frozenset({"sessionid"}), seen=frozenset({"language"}))
    field = "x=1; theme=dark; sessionid=s; ab_1=b; language=de"
    assert rules.kept(field) == "theme=dark; sessionid=s; ab_1=b; language=de"
    assert rules.key(field) == "ab_1=b;language=de;theme=dark"
    assert CookieRules(allowed=()).key(field) == ""


def test_the_cookies_of_a_visitor_are_never_hidden():
    rules = CookieRules(ignored=("*",), allowed=(), visitor=frozenset({"sessionid"}))
    assert rules.kept("sessionid=s; a=1") == "sessionid=s"


@given(st.text(st.sampled_from('ab_ga=; "1'), max_size=14))
def test_what_is_kept_is_what_django_would_read_without_the_hidden_ones(field):
    read = {name: value for name, value in parse_cookie(field).items() if not RULES.hides(name)}
    assert parse_cookie(RULES.kept(field)) == read
    assert RULES.key(RULES.kept(field)) == RULES.key(field)
