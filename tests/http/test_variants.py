from __future__ import annotations

import pytest

from cacheplus.http.headers import Fields, Vary
from cacheplus.http.variants import accepted_codings, selecting_values


def select(name, *lines):
    (value,) = selecting_values(Vary.parse(name), Fields.of((name, line) for line in lines))
    return value


def test_one_value_for_each_name_in_order():
    request = Fields.of([("Foo", "1"), ("Other", "2"), ("Bar", "3")])
    assert selecting_values(Vary.parse("Foo, Baz, Bar"), request) == ("3", None, "1")


def test_absent_differs_from_empty():
    """CVE-2026-113593."""
    assert select("Foo") is None
    assert select("Foo", "") == ""
    assert select("Accept-Encoding") is None
    assert select("Accept-Encoding", "") == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["1, 2"], ["1", "2"], id="rfc9111-4.1-lines-combined"),
        pytest.param(["1,2"], [" 1 ,\t2 "], id="rfc9111-4.1-blanks"),
    ],
)
def test_spellings_of_one_value(one, other):
    assert select("Foo", *one) == select("Foo", *other)


@pytest.mark.parametrize(
    ("one", "other"), [("1", "2"), ("a", "A"), ("1, 2", "2, 1"), ('"a, b"', '"a,b"'), ("1,,2", "1,2")]
)
def test_values_that_differ_select_different_variants(one, other):
    assert select("Foo", one) != select("Foo", other)


def test_languages_are_the_same_in_any_case():
    assert select("Accept-Language", "eN, DE;q=0.5") == select("Accept-Language", "en,de;q=0.5")
    assert select("Accept-Language", "en, de") != select("Accept-Language", "de, en")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br,gzip"),
        ("BR, GZip", "br,gzip"),
        ("br;q=1.0, gzip;q=0.8, deflate", "br,gzip"),
        ("deflate", ""),
        ("gzip;q=0", "gzip;q=0"),
        ("gzip; q=0.000", "gzip;q=0.000"),
        ("gzip;q=nonsense", "gzip;q=nonsense"),
        ("x-gzip", "x-gzip"),
        ("*", "*"),
        ("identity;q=0, gzip", "gzip,identity;q=0"),
    ],
)
def test_codings_are_those_of_the_site(value, expected):
    assert accepted_codings(value, ("br", "gzip")) == expected
