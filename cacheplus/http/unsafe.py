"""What an unsafe request leaves out of date (RFC 9111 §4.4)."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin, urlsplit

from cacheplus.http.headers import Fields

# RFC 9110 §9.2.1. Any other method, known or not, may have changed something.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_NOT_AN_ERROR = range(200, 400)

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_unsafe(method: str) -> bool:
    """Whether a request with this method may change something; an empty one is no method."""
    return method not in _SAFE_METHODS and method != ""


def outdated_urls(method: str, url: str, status: int, response: Fields) -> tuple[str, ...]:
    """The URLs whose stored pages a request to the absolute `url` put out of date; none if it was safe or failed.

    `url` itself, and what `Location` and `Content-Location` name on the same origin: another site's pages are not
    this one's to expire.
    """
    if not is_unsafe(method) or status not in _NOT_AN_ERROR:
        return ()
    named = (_resolved(url, response.get(name)) for name in ("Location", "Content-Location"))
    return tuple(dict.fromkeys((url, *(other for other in named if other is not None))))


def _resolved(url: str, reference: str | None) -> str | None:
    """`reference` as an absolute URL, None unless it is of the same origin."""
    if reference is None:
        return None
    try:
        other = urldefrag(urljoin(url, reference.strip())).url
        return other if _origin(other) == _origin(url) else None
    except ValueError:  # what is no URL names no page
        return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
