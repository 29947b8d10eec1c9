"""Where a page is kept, and the tags that it carries for its address.

A page carries one tag for its path and one for its host and path, each also with its query and with its key prefix, and
one for each directory above it. So one deleted stamp ends every copy that the caller meant, and no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from urllib.parse import unquote

from django.utils.encoding import escape_uri_path

from cacheplus.http.query import spelt


@dataclass(frozen=True, slots=True)
class PageAddress:
    """What a request asks for, as far as it is no header: together the key under which a page is kept."""

    scheme: str
    host: str
    path: str
    """Escaped, with the script name."""
    query: str
    """As `QueryRules.key` has it."""
    key_prefix: str = ""
    layer: str = "site"
    """Per-site and per-view pages of one address differ by what the middleware between them adds."""
    method: str = "GET"
    language: str | None = None
    time_zone: str | None = None
    session: str | None = None
    """The visitor's own cookies, where each session has a page of its own."""
    headers: str = ""
    """Those that belong to the key of every page, where the request has any."""

    def key(self, variant: tuple[str | None, ...] | None = None) -> str:
        """The key of the page, or of one of its variants: the request's values of the fields that `Vary` names."""
        parts = (
            self.scheme,
            self.host,
            self.path,
            self.query,
            self.key_prefix,
            self.layer,
            self.method,
            self.language,
            self.time_zone,
            self.session,
            self.headers,
            *(variant or ()),
        )
        return f"cacheplus.page.{_digest(parts)}"

    @property
    def is_plain(self) -> bool:
        """Whether it says no more than where the page is."""
        return not (self.query or self.headers)

    def with_method(self, method: str) -> PageAddress:
        """The same address, asked by another method."""
        return replace(self, method=method)

    def tags(self, depth: int) -> tuple[str, ...]:
        """The tags of every page here; `depth` is how far below the root a directory may lie and be expired whole."""
        return tuple(self._tags(depth))

    def _tags(self, depth: int) -> Iterator[str]:
        prefixes = (None, self.key_prefix) if self.key_prefix else (None,)
        query = spelt(self.query)
        for key_prefix in prefixes:
            for host in (None, self.host):
                yield page_tag(self.path, host, None, key_prefix)
                yield page_tag(self.path, host, query, key_prefix)
                for directory in directories(self.path, depth):
                    yield tree_tag(directory, host, key_prefix)


def page_tag(path: str, host: str | None = None, query: str | None = None, key_prefix: str | None = None) -> str:
    """The tag of the pages at an escaped `path`; None stands for every host, query or key prefix.

    A query is in one spelling, whatever its order means to the key.
    """
    return f"page:{_scope(path, host, key_prefix)}" + ("" if query is None else f"?{query}")


def tree_tag(directory: str, host: str | None = None, key_prefix: str | None = None) -> str:
    """The tag of the pages below an escaped `directory`."""
    return f"tree:{_scope(directory, host, key_prefix)}"


def _scope(path: str, host: str | None, key_prefix: str | None) -> str:
    # Neither a host nor an escaped path contains a space, and the length keeps a prefix from being read as a path.
    prefix = "" if key_prefix is None else f"{len(key_prefix)}:{key_prefix} "
    return f"{prefix}{host or ''} {path}"


def directories(path: str, depth: int) -> Iterator[str]:
    """The directories above `path`, from the root, at most `depth` below it: "/", "/blog/", "/blog/2026/"."""
    end = 0
    for _ in range(depth + 1):
        end = path.find("/", end) + 1
        if end == 0 or end == len(path):
            return
        yield path[:end]


def canonical_paths(path: str) -> tuple[str, ...]:
    """A path as pages have it, from one that is decoded or escaped; both readings where they differ."""
    return tuple(dict.fromkeys((escape_uri_path(path), escape_uri_path(unquote(path)))))


def _digest(parts: tuple[str | None, ...]) -> str:
    # Lengths keep two lists of parts apart; an absent value is not an empty one.
    text = "".join("-," if part is None else f"{len(part)}:{part}," for part in parts)
    return blake2b(text.encode(errors="surrogatepass"), digest_size=20).hexdigest()
