"""What the client is told."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from cacheplus.http.facts import RequestFacts, ResponseFacts, Rules
from cacheplus.http.headers import Fields
from cacheplus.pages.client import stored_fields, tell_lifetime, told_lifetime, vary_of

NOW = 1_795_000_000.0


def told(status=200, request=RequestFacts(), rules=Rules(page_timeout=60), **fields):  # noqa: B008 - frozen
    pairs = ((name.replace("_", "-"), value) for name, value in fields.items())
    lifetime = told_lifetime(request, ResponseFacts(status, Fields.of(pairs)), rules, NOW)
    return lifetime and lifetime.seconds


class TestLifetime:
    @pytest.mark.parametrize("status", [200, 304])
    def test_of_a_page_and_of_what_stands_for_one(self, status):
        assert told(status) == 60

    @pytest.mark.parametrize("status", [201, 204, 302, 404, 500])
    def test_of_no_other_status(self, status):
        assert told(status) is None

    @pytest.mark.parametrize("value", ["max-age=5", "max-age=500", "private", "no-store", "no-cache", "max-age=abc"])
    def test_of_nothing_that_the_view_has_spoken_about(self, value):
        assert told(Cache_Control=value) is None

    @pytest.mark.parametrize("value", ["Thu, 19 Nov 2026 12:00:00 GMT", "0", "garbage"])
    def test_of_nothing_that_has_an_end(self, value):
        assert told(Expires=value) is None

    def test_is_told_to_who_shows_a_credential_of_the_standard_kind(self):
        request = RequestFacts(fields=Fields.of([("Authorization", "Bearer x")]))
        assert told(request=request) == 60

    @pytest.mark.parametrize(
        ("client_timeout", "seconds", "expected"),
        [(None, 60, 60), (10, 60, 10), (0, 60, 0), (None, -5, 0), (-1, 60, 0)],
    )
    def test_in_seconds_never_below_0(self, client_timeout, seconds, expected):
        response = HttpResponse()
        tell_lifetime(response, told_lifetime_of(seconds), client_timeout)
        assert response["Cache-Control"] == f"max-age={expected}"
        assert "Expires" in response

    def test_without_an_end_lets_the_client_ask_each_time(self):
        response = HttpResponse()
        tell_lifetime(response, told_lifetime_of(None), None)
        assert response["Cache-Control"] == "max-age=0"

    @pytest.mark.parametrize("value", ['extension="a, max-age=9W/-1"', "max-age=9W/-1", "max-age="])
    def test_is_added_to_nothing_that_django_cannot_read(self, value):
        response = HttpResponse(headers={"Cache-Control": value})
        tell_lifetime(response, told_lifetime_of(60), None)
        assert response.headers["Cache-Control"] == value


def told_lifetime_of(seconds):
    return told_lifetime(RequestFacts(), ResponseFacts(), Rules(page_timeout=seconds), NOW)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("cacheplus; hit", None),
        ("cacheplus; fwd=uri-miss; stored, cacheplus; hit", None),
        ("proxy; hit", "proxy; hit"),
        ("proxy; hit, cacheplus; fwd=uri-miss", "proxy; hit"),
    ],
)
def test_what_we_said_of_one_request_is_not_stored(given, kept):
    fields = stored_fields(HttpResponse(headers={"Cache-Status": given, "X-Kept": "1"}))
    assert fields.get("Cache-Status") == kept
    assert fields.get("X-Kept") == "1"


@pytest.mark.parametrize(("in_key", "expected"), [(True, ("cookie",)), (False, ("accept-language", "cookie"))])
def test_a_negotiated_language_is_no_variant(in_key, expected):
    response = HttpResponse(headers={"Vary": "Cookie, Accept-Language"})
    assert vary_of(response, language_in_key=in_key).names == expected
