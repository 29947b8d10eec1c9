"""The page store: finds the variant that a request selects, and keeps pages with the stamps of their tags."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from cacheplus.backends.base import BaseCache
from cacheplus.backends.operations import Place
from cacheplus.http.headers import Fields, Vary
from cacheplus.http.reasons import Reason
from cacheplus.http.variants import selecting_values
from cacheplus.pages.census import UNLIMITED, Census, Limits
from cacheplus.pages.keys import PageAddress
from cacheplus.pages.page import StoredPage, Variant
from cacheplus.recorder import Recorder
from cacheplus.store import Store, Stored
from cacheplus.tags import Beginning


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look-up found."""

    page: StoredPage | None = None
    occupants: Mapping[str, StoredPage] = field(default_factory=dict)
    """By method: the page that stands at the address itself, of whatever variant."""
    beginning: Beginning | None = None
    """What stood when the page was looked for; None where it is still among the `read`."""
    read: Mapping[str, Stored] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    stamps: Mapping[str, bytes] = field(default_factory=dict)
    """Those of the page."""
    turn: Stored | None = None
    """What stands under the name of the turns of this page."""


class Selected(NamedTuple):
    """What an address holds for a request: the page with its stamps, and the one that stands at the address itself."""

    page: StoredPage | None = None
    occupant: StoredPage | None = None
    stamps: Mapping[str, bytes] = MappingProxyType({})


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
        operations = self._operations
        names = [self._place(each.key()).name for each in addresses]
        turn = self.turn_name(address)
        read = await store.read([*names, turn, *operations.tags.names(tags)])
        occupants = {}
        for each in addresses:
            page, occupant, stamps = await self._selected(store, each, request, read)
            if occupant is not None:
                occupants[each.method] = occupant
            if page is not None:
                return Looked(page, occupants, None, read, tuple(tags), stamps)
        beginning = await operations.tags.begin(store, tags, read)
        return Looked(None, occupants, beginning, turn=read.get(turn))

    def turn_name(self, address: PageAddress) -> str:
        """The final name under which the turns to render a page stand."""
        return self._operations.tags.service_name(f"turn.{address.with_method('GET').key()}")

    async def _selected(self, store: Store, address: PageAddress, request: Fields, read: dict[str, Stored]) -> Selected:
        """What `request` selects, given what was `read` of the address."""
        operations, place = self._operations, self._place(address.key())
        found = await operations.records(store, [place], read)
        first = StoredPage.unpack(found[place.name].record.value) if found else None
        if first is None:
            return Selected()
        wanted = variant_of(Vary(first.variant.names), request)
        if wanted == first.variant:
            if not await operations.living(store, found, read):
                return Selected()
            return Selected(first, first, found[place.name].record.stamps)
        # The tags that are not read yet go with the variant, which mostly has the same: so there is no third trip.
        beside = self._place(address.key(wanted.values))
        unread = {operations.tags.name(tag) for tag in found[place.name].record.stamps}.difference(read)
        read = {**read, **await store.read([beside.name, *unread])}
        found |= await operations.records(store, [beside], read)
        living = await operations.living(store, found, read)
        occupant = first if place.name in living else None
        page = StoredPage.unpack(living[beside.name].record.value) if beside.name in living else None
        if page is None or page.variant != wanted:
            return Selected(None, occupant)
        return Selected(page, occupant, living[beside.name].record.stamps)

    async def keep(
        self,
        store: Store,
        address: PageAddress,
        page: StoredPage,
        looked: Looked,
        tags: Collection[str],
        recorder: Recorder | None,
        limits: Limits = UNLIMITED,
    ) -> Reason | None:
        """Store `page` with the stamps of when its rendering began; None, or why it is not stored."""
        ttl = page.terms.kept_for
        beginning = looked.beginning or self._operations.tags.begun(looked.tags, looked.read)
        occupant = looked.occupants.get(address.method)
        is_beside = (
            occupant is not None and occupant.variant.names == page.variant.names and occupant.variant != page.variant
        )
        key = address.key(page.variant.values if is_beside else None)
        # Before anything is stored: junk leaves no stamps behind either.
        is_counted = (is_beside or not address.is_plain) and limits is not UNLIMITED
        if is_counted and not await Census(self._operations, limits).admits(store, address, key, ttl):
            return Reason.VARIANTS
        record = await self._operations.record_of(store, page.pack(), ttl, tags, beginning, recorder)
        if record is None:
            return (recorder.refusal if recorder else None) or Reason.SUPERSEDED
        name, seal = self._place(key)
        failed = await store.write({name: self._operations.codec.encode(name, record, seal)}, ttl)
        if failed:
            await store.remove(failed)
        return Reason.FAULT if failed else None


def variant_of(vary: Vary, request: Fields) -> Variant:
    """The variant that `request` selects among those of `vary`."""
    return Variant(vary.names, selecting_values(vary, request))
