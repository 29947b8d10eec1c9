"""Django's helpers for response headers and cache keys, and one of ours: `add_cache_tags`."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from django.utils.cache import (
    add_never_cache_headers,
    get_cache_key,
    get_max_age,
    has_vary_header,
    learn_cache_key,
    patch_cache_control,
    patch_response_headers,
    patch_vary_headers,
)

from cacheplus.pages.options import TAGS_ATTRIBUTE
from cacheplus.tags import tag_names

__all__ = [
    "add_cache_tags",
    "add_never_cache_headers",
    "get_cache_key",
    "get_max_age",
    "has_vary_header",
    "learn_cache_key",
    "patch_cache_control",
    "patch_response_headers",
    "patch_vary_headers",
]


def add_cache_tags(response: HttpResponseBase, *names: str) -> None:
    """Make the page that `response` becomes expire with each of these tags. Raises TypeError for what is no name."""
    tags = (*getattr(response, TAGS_ATTRIBUTE, ()), *tag_names(names))
    setattr(response, TAGS_ATTRIBUTE, tags)
