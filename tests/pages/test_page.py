"""A page as it is kept: nothing of the response is lost, and what is no page is none."""

from __future__ import annotations

import json

import pytest
from django.http import HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.http.headers import Fields
from cacheplus.http.terms import Terms
from cacheplus.pages.page import StoredPage, Variant

NOW = 1_795_000_000.0
TERMS = Terms(stored_at=NOW, fresh_until=NOW + 60)


def page_of(response, terms=TERMS, variant=Variant()):  # noqa: B008 - frozen
    return StoredPage.of(response, Fields.of(response.headers.items()), terms, variant)


def roundtrip(response, **given):
    page = page_of(response, **given)
    again = StoredPage.unpack(page.pack())
    assert again == page
    return again


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse(b"\x00\xff\x80", content_type="image/png"),
        HttpResponse("", status=204),
        HttpResponse("é", charset="latin-1"),
        HttpResponse("x", status=404, reason="Nothing Here"),
        HttpResponse("x", headers={"X-Long": "y" * 5000, "Link": "<a>, <b>"}),
        HttpResponse("x" * 10**6),
    ],
    ids=["bytes", "empty", "charset", "reason", "headers", "large"],
)
def test_status_headers_and_body_come_back(response):
    again = roundtrip(response).response(NOW + 7)
    assert (again.status_code, again.reason_phrase, again.content) == (
        response.status_code,
        response.reason_phrase,
        response.content,
    )
    assert dict(again.headers) == {**response.headers, "Age": "7"}


def test_terms_and_variant_come_back():
    terms = Terms(NOW, 3.5, None, 1.0, 2.0, 3.0, True, True, True, True, True, True)
    again = roundtrip(HttpResponse("x"), terms=terms, variant=Variant(("accept", "cookie"), ("", None)))
    assert again.terms == terms
    assert again.variant == Variant(("accept", "cookie"), ("", None))


def test_cookies_come_back_with_their_attributes():
    response = HttpResponse("x")
    response.set_cookie("plain", "value", max_age=60, path="/a", httponly=True, samesite="Lax", secure=True)
    response.set_cookie("odd", 'with "quotes"; and é')
    response.delete_cookie("gone")
    again = roundtrip(response).response(NOW)
    assert again.cookies.output() == response.cookies.output()


def test_a_response_without_a_content_type_gets_none():
    response = HttpResponse("x")
    del response.headers["Content-Type"]
    assert "Content-Type" not in roundtrip(response).response(NOW).headers


def test_what_cannot_be_pickled_on_a_response_does_no_harm():
    response = HttpResponse("x")
    response.trace = lambda: None
    assert roundtrip(response).body == b"x"


def test_fields_of_one_connection_are_left_out():
    response = HttpResponse("x", headers={"Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "5", "X-Kept": "1"})
    assert page_of(response).fields.names() == {"content-type", "x-kept"}


GOOD = page_of(HttpResponse("body")).pack()
MAGIC = GOOD[:5]


def packed(text):
    return MAGIC + len(text).to_bytes(4, "big") + text


def head(**changes):
    """A packed page one of whose parts is another one."""
    parts = json.loads(GOOD[9 : 9 + int.from_bytes(GOOD[5:9], "big")])
    names = ["status", "reason", "pairs", "terms", "variant", "cookies"]
    for name, value in changes.items():
        parts[names.index(name)] = value
    return packed(json.dumps(parts).encode())


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        1.5,
        "a string",
        "",
        b"",
        [],
        {},
        {"a": 1},
        [1, 2, 3, 4, 5],
        object(),
        b"\xff" * 100,
        GOOD[:8],
        GOOD[:30],
        GOOD[1:],
        b"page\x00" + GOOD[5:],
        head(pairs=5),
        head(pairs=[["one"]]),
        head(pairs=[[1, 2]]),
        head(terms=[]),
        head(terms=[1] * 50),
        head(terms=None),
        head(variant=None),
        head(variant=[1, 2]),
        head(cookies=[1]),
        head(cookies=[["a", "b"]]),
        packed(b"[]"),
        packed(b"null"),
        packed(b"{}"),
        packed(b"\xff"),
        packed(b"[" * 10**5),
    ],
    ids=lambda value: repr(value)[:40].partition(" at 0x")[0],
)
def test_what_is_no_page_is_none(value):
    assert StoredPage.unpack(value) is None


@given(st.binary(max_size=200), st.integers(0, len(GOOD)))
def test_damage_never_raises(garbage, position):
    for value in (garbage, GOOD[:position] + garbage, GOOD[:position] + garbage + GOOD[position + len(garbage) :]):
        assert StoredPage.unpack(value) is None or value.startswith(MAGIC)
