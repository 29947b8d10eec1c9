from __future__ import annotations

import pytest

from cacheplus.http.cache_control import CacheControl
from cacheplus.http.headers import Fields
from cacheplus.http.targeted import Governing, governing, parse_directives


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("max-age=3600", CacheControl(max_age=3600), id="integer"),
        pytest.param("foo, max-age=60", CacheControl(max_age=60), id="unknown-member"),
        pytest.param("no-store, private", CacheControl(no_store=True, private=True), id="booleans"),
        pytest.param("no-store=?1", CacheControl(no_store=True), id="explicit-true"),
        pytest.param("no-store=?0", CacheControl(), id="explicit-false"),
        pytest.param("no-store, no-store=?0", CacheControl(), id="rfc8941-4.2.2-last-one-counts"),
        pytest.param("max-age=1, max-age=60", CacheControl(max_age=60), id="rfc8941-4.2.2-last-number-counts"),
        pytest.param("max-age=60;x=1;y", CacheControl(max_age=60), id="rfc9213-2.1-parameters-ignored"),
        pytest.param('a=(1 "b" c);d, b=:AA==:, c=1.5, max-age=60', CacheControl(max_age=60), id="every-type"),
        pytest.param('no-cache="Set-Cookie"', CacheControl(no_cache=True), id="string-for-a-flag"),
        pytest.param("private=(a b)", CacheControl(private=True), id="list-for-a-flag"),
        *(
            pytest.param(f"max-age={text}", CacheControl(max_age=0), id=f"rfc9213-2.1-wrong-type-{text}")
            for text in ('"60"', "60.5", "abc", "(60)", "?1", "-60", ":AA==:")
        ),
        pytest.param("max-age", CacheControl(max_age=0), id="rfc9213-2.1-number-missing"),
    ],
)
def test_directives_of_a_dictionary(value, expected):
    assert governing(Fields.of([("CDN-Cache-Control", value)]), ("CDN-Cache-Control",)) == Governing(
        expected, is_targeted=True
    )


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "  ",
            "max-age=10000, &&&&&",
            "MaX-aGe=60",
            "max-age =1",
            "max-age= 1",
            "a,",
            ",a",
            "a=",
            'a="',
            "a=1.2345",
        ),
        *("a=1234567890123456", "a b", "a=(1", "a=(1,2)", "a=é", "a=?2", "a;B", "a\n", "=1"),
    ],
)
def test_what_is_empty_or_not_well_formed_is_ignored(value):
    """RFC 9213 §2.2."""
    assert parse_directives(value) is None
    fields = Fields.of([("CDN-Cache-Control", value), ("Cache-Control", "no-store")])
    assert governing(fields, ("CDN-Cache-Control",)) == Governing(CacheControl(no_store=True))


def test_first_usable_field_of_the_list_governs():
    """RFC 9213 §2.2."""
    fields = Fields.of([("B", "max-age=2"), ("A", "!"), ("C", "max-age=3"), ("Cache-Control", "no-store")])
    assert governing(fields, ("A", "B", "C")).control == CacheControl(max_age=2)


def test_lines_of_a_field_are_one_dictionary():
    assert parse_directives("a", "b=1") == (("a", None), ("b", "1"))


def test_field_that_is_not_on_the_list_does_not_govern():
    fields = Fields.of([("CDN-Cache-Control", "no-store"), ("Cache-Control", "max-age=1")])
    assert governing(fields, ()) == Governing(CacheControl(max_age=1))


@pytest.mark.parametrize("value", ["a=(" + "1 " * 50_000, "a" + ";b" * 50_000 + "!", "a=(" + " " * 50_000 + "!"])
def test_hostile_value_costs_no_more_than_its_length(value):
    assert parse_directives(value) is None
