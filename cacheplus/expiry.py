"""Expiry on every alias of CACHES that is one of ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from django.core.cache import caches

from cacheplus.backends.base import BaseCache
from cacheplus.store import Direct, run


@dataclass(slots=True)
class Outcome:
    """What an expiry did: how many stamps it ended, on which aliases, and which of them failed with what."""

    stamps: int = 0
    aliases: list[str] = field(default_factory=list)
    failed: dict[str, BaseException] = field(default_factory=dict)


def expire_everywhere(tags: Collection[str], alias: str | None = None) -> Outcome:
    """Expire `tags` now, on every alias or on one. A fault raises nothing: it is part of the outcome, and owed."""
    targets = list(_targets(alias))
    outcome = Outcome(aliases=[cache.alias for cache in targets])
    # What one alias still held while another was dealt with may have gone into a page on that other: so once more.
    for cache in targets if len(targets) == 1 else [*targets, *targets]:
        outcome.stamps += _expire_on(cache, tags, outcome.failed)
    return outcome


def _expire_on(cache: BaseCache, tags: Collection[str], failed: dict[str, BaseException]) -> int:
    try:
        # Strictly: under ON_FAULT "miss" nobody could tell a failure from nothing to expire.
        return run(cache.operations.expire_tags(Direct(cache, is_strict=True), *tags))
    except Exception as error:  # noqa: BLE001 - a save must not fail because a cache is away
        cache.report_unmet(error)
        failed[cache.alias] = error
        return 0


def _targets(alias: str | None) -> Iterator[BaseCache]:
    """The backends to expire on: each store and prefix once."""
    seen = set()
    for name in caches if alias is None else [alias]:
        cache = caches[name]
        if not isinstance(cache, BaseCache):
            if alias is not None:
                raise TypeError(f"Cache {alias!r} is not one of cacheplus, so that nothing can be expired on it.")
            continue
        if not cache.keeps_nothing and cache.operations.space not in seen:
            seen.add(cache.operations.space)
            yield cache
