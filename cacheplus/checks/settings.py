"""The keys of CACHEPLUS and their values, judged by the rules that the run time uses."""

from __future__ import annotations

from typing import Any

from django.core.checks import Error

from cacheplus.conf import bad_values, setting, unknown_keys


def check_keys(**_kwargs: Any) -> list[Error]:
    """cacheplus.E001: every key of CACHEPLUS is known."""
    return [Error(message, hint=hint, id="cacheplus.E001") for message, hint in unknown_keys(setting("CACHEPLUS"))]


def check_values(**_kwargs: Any) -> list[Error]:
    """cacheplus.E002: every value of CACHEPLUS is one that its key accepts."""
    return [Error(message, hint=hint, id="cacheplus.E002") for message, hint in bad_values(setting("CACHEPLUS"))]
