from __future__ import annotations

import pytest

from cacheplus.http.headers import Fields
from cacheplus.http.unsafe import is_unsafe, outdated_urls

URL = "https://example.com/blog/1/?page=2"


def outdated(method="POST", status=200, **named):
    return outdated_urls(method, URL, status, Fields.of((k.replace("_", "-"), v) for k, v in named.items()))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "get"])
@pytest.mark.parametrize("status", [200, 201, 204, 302, 399])
def test_unsafe_or_unknown_method_outdates_its_url(method, status):
    """RFC 9111 §4.4."""
    assert outdated(method, status) == (URL,)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_method_outdates_nothing(method):
    assert not is_unsafe(method)
    assert outdated(method, Location="/other/") == ()


def test_no_method_at_all_is_not_unsafe():
    assert not is_unsafe("")


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503, 101])
def test_failed_request_outdates_nothing(status):
    """RFC 9111 §4.4: only a response that is no error."""
    assert outdated(status=status, Location="/other/") == ()


@pytest.mark.parametrize("name", ["Location", "Content_Location"])
@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("/blog/", "https://example.com/blog/"),
        ("../2/#top", "https://example.com/blog/2/"),
        ("?page=3", "https://example.com/blog/1/?page=3"),
        ("https://EXAMPLE.com:443/x", "https://EXAMPLE.com:443/x"),
        ("//example.com/y", "https://example.com/y"),
    ],
)
def test_named_urls_of_the_same_origin_are_outdated_too(name, reference, url):
    assert outdated(**{name: reference}) == (URL, url)


@pytest.mark.parametrize(
    "reference",
    [
        *("http://example.com/x", "https://other.com/x", "https://example.com:8443/x", "//evil/", "https://["),
        *(
            "https://example.com:x/",
            "https://example.com:99999/",
            "https://example.com@other.com/",
            "mailto:a@b",
            URL,
            "",
        ),
    ],
)
def test_other_origins_and_nonsense_are_left_alone(reference):
    assert outdated(Location=reference) == (URL,)


def test_both_fields_count():
    assert outdated(Location="/a", Content_Location="/b") == (URL, "https://example.com/a", "https://example.com/b")
