"""The page store: finds the variant that a request selects, and keeps pages with the stamps of their tags."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cacheplus.backends.base import BaseCache
from cacheplus.backends.operations import Place
from cacheplus.http.headers import Fields, Vary
from cacheplus.http.variants import selecting_values
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.page import StoredPage, Variant
from cacheplus.recorder import Recorder
from cacheplus.store import Store
from cacheplus.tags import Beginning

# What a hit needs to know of a beginning.
NOTHING = Beginning()


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look-up found. `occupant` is the page that stands at the address itself, of whatever variant."""

    page: StoredPage | None = None
    occupant: StoredPage | None = None
    beginning: Beginning = NOTHING


NOTHING_FOUND = Looked()


class PageStore:
    """Pages on one alias.

    The page that was stored first stands at its address; other variants of it have keys of their own, and the first one
    tells which request fields choose among them. So a page without variants costs one call.
    """

    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache
        self._operations = cache.operations

    def _place(self, key: str) -> Place:
        return self._operations.place(key, None)

    async def look(self, store: Store, address: PageAddress, request: Fields, tags: Collection[str]) -> Looked:
        """The page for a request, or what stands at the beginning of its rendering; one read if nothing varies.

        A HEAD request is answered by the page of a GET, or else of a HEAD.
        """
        addresses = [address.with_method("GET"), *([address] if address.method == "HEAD" else [])]
        places = [self._place(each.key()) for each in addresses]
        operations = self._operations
        found, read = await operations.find(store, places, operations.tags.names(tags))
        occupant = None
        for each, (name, _) in zip(addresses, places, strict=True):
            occupant = StoredPage.unpack(found[name].record.value) if name in found else None
            page = await self._variant(store, each, occupant, request)
            if page is not None:
                return Looked(page, occupant)
        return Looked(None, occupant, await operations.tags.begin(store, tags, read))

    async def _variant(
        self, store: Store, address: PageAddress, occupant: StoredPage | None, request: Fields
    ) -> StoredPage | None:
        """The page that `request` selects, where `occupant` says what there is to select by."""
        if occupant is None:
            return None
        wanted = variant_of(Vary(occupant.variant.names), request)
        if wanted == occupant.variant:
            return occupant
        found = await self._operations.find_one(store, self._place(address.key(wanted.values)))
        page = None if found is None else StoredPage.unpack(found.record.value)
        return page if page is not None and page.variant == wanted else None

    async def keep(
        self,
        store: Store,
        address: PageAddress,
        page: StoredPage,
        looked: Looked,
        tags: Collection[str],
        recorder: Recorder | None,
    ) -> bool:
        """Store `page` with the stamps of when its rendering began; False if it was expired since, or not stored."""
        ttl = page.terms.kept_for
        record = await self._operations.record_of(store, page.pack(), ttl, tags, looked.beginning, recorder)
        if record is None:
            return False
        occupant = looked.occupant
        is_beside = (
            occupant is not None and occupant.variant.names == page.variant.names and occupant.variant != page.variant
        )
        name, seal = self._place(address.key(page.variant.values if is_beside else None))
        failed = await store.write({name: self._operations.codec.encode(name, record, seal)}, ttl)
        if failed:
            await store.remove(failed)
        return not failed


def variant_of(vary: Vary, request: Fields) -> Variant:
    """The variant that `request` selects among those of `vary`."""
    return Variant(vary.names, selecting_values(vary, request))
