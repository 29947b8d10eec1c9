"""Stamps and the fence: how a tag is expired, on any store, without a list of keys.

A stamp is a random token stored under a tag's own name. A record carries the stamps that stood when its computation
began and is valid while they still stand; to expire a tag is to delete its stamp. The fence, one per alias, is moved by
every expiry and judges tags that become known only during a computation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from math import ceil, inf
from typing import NamedTuple

from cacheplus.store import Store, Stored

_MAGIC = b"\xcb"
_TOKEN = 8
_UNTIL = 5
_FOREVER = (1 << (8 * _UNTIL)) - 1
_STAMP_BYTES = len(_MAGIC) + _TOKEN + _UNTIL

# A stamp outlives the records that carry it, so that it need not be extended each time one of them is stored again.
_STAMP_LIFE = 3600.0
_FENCE_HISTORY = 64
_TRIES = 8


class Stamp(NamedTuple):
    """A tag's token, and the unix time up to which its store keeps it (inf: for ever)."""

    token: bytes
    until: float

    @classmethod
    def new(cls, ttl: float | None) -> Stamp:
        """A fresh stamp for a record that lives `ttl` seconds."""
        until = inf if ttl is None else float(ceil(time.time() + max(2 * ttl, _STAMP_LIFE)))
        return cls(os.urandom(_TOKEN), until)

    @property
    def ttl(self) -> float | None:
        """Seconds for which the store has to keep it."""
        return None if self.until == inf else max(self.until - time.time(), 1.0)

    def covers(self, ttl: float | None) -> bool:
        """Whether it outlives a record that is stored now for `ttl` seconds."""
        return self.until == inf or (ttl is not None and self.until >= time.time() + ttl)

    def pack(self) -> bytes:
        """As stored. Never decimal digits, which a store would take for a counter."""
        until = _FOREVER if self.until == inf else min(int(self.until), _FOREVER - 1)
        return _MAGIC + self.token + until.to_bytes(_UNTIL, "big")

    @classmethod
    def unpack(cls, stored: Stored | None) -> Stamp | None:
        """What `pack` made, or None: a stamp that cannot be read is missing."""
        if not isinstance(stored, bytes) or len(stored) != _STAMP_BYTES or not stored.startswith(_MAGIC):
            return None
        until = int.from_bytes(stored[-_UNTIL:], "big")
        return cls(stored[1 : 1 + _TOKEN], inf if until == _FOREVER else float(until))


class Fence(NamedTuple):
    """The last expiries of an alias, oldest first: (token, digest of the tag). The last token is the fence itself."""

    marks: tuple[tuple[bytes, bytes], ...]

    @property
    def token(self) -> bytes:
        """The token that stands now."""
        return self.marks[-1][0]

    def moved(self, tags: Iterable[str]) -> Fence:
        """The fence after an expiry of `tags`, in order; what happened long ago is forgotten."""
        marks = tuple((os.urandom(_TOKEN), _digest(tag)) for tag in tags)
        return Fence((self.marks + marks)[-max(_FENCE_HISTORY, len(marks)) :])

    def spares(self, token: bytes, tags: Iterable[str]) -> bool:
        """Whether it is proven that none of `tags` was expired since the fence was `token`."""
        for position, (seen, _) in enumerate(self.marks):
            if seen == token:
                since = {digest for _, digest in self.marks[position + 1 :]}
                return since.isdisjoint(map(_digest, tags))
        return False

    def pack(self) -> bytes:
        """As stored."""
        return _MAGIC + b"".join(token + digest for token, digest in self.marks)

    @classmethod
    def unpack(cls, stored: Stored | None) -> Fence | None:
        """What `pack` made, or None: a fence that cannot be read is missing, and a missing fence never matches."""
        step = 2 * _TOKEN
        if not isinstance(stored, bytes) or len(stored) <= step or len(stored) % step != 1:
            return None
        pairs = (stored[at : at + step] for at in range(1, len(stored), step))
        return cls(tuple((pair[:_TOKEN], pair[_TOKEN:]) for pair in pairs))

    @classmethod
    def new(cls) -> Fence:
        """The fence of an alias that has seen no expiry yet."""
        return cls(((os.urandom(_TOKEN), os.urandom(_TOKEN)),))


@dataclass(frozen=True, slots=True)
class Beginning:
    """What stood when a computation began: the stamps of its early tags that were there, and the fence."""

    tags: tuple[str, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    fence: bytes | None = None

    def late(self, tags: Iterable[str]) -> list[str]:
        """The tags of this computation whose stamps were not there when it began, with those found out since."""
        return list(dict.fromkeys(tag for tag in (*self.tags, *tags) if tag not in self.stamps))


class Tags:
    """The stamps and the fence of one alias. `name_of` turns a service key into the final name."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        self._name_of = name_of

    def name(self, tag: str) -> str:
        """The final name of a tag's stamp."""
        digest = blake2b(tag.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        return self._name_of(f"tag.{digest}")

    def service_name(self, key: str) -> str:
        """The final name of something else that stands beside the stamps."""
        return self._name_of(key)

    @property
    def fence_name(self) -> str:
        """The final name of the fence."""
        return self._name_of("fence")

    def names(self, tags: Iterable[str]) -> list[str]:
        """What to read, in one batch with the record itself, before a computation with early `tags` may begin."""
        return [*map(self.name, tags), self.fence_name]

    def standing(self, tags: Iterable[str], found: Mapping[str, Stored]) -> dict[str, Stamp]:
        """The stamps of `tags` among what was `found`."""
        stamps = ((tag, Stamp.unpack(found.get(self.name(tag)))) for tag in tags)
        return {tag: stamp for tag, stamp in stamps if stamp is not None}

    async def begin(self, store: Store, tags: Collection[str], found: Mapping[str, Stored] | None = None) -> Beginning:
        """What stands now, to be called before the computation; `found` is what a batched read already brought."""
        if found is None:
            found = await store.read(self.names(tags))
        begun = self.begun(tags, found)
        if begun.fence is not None:
            return begun
        fence = await self._first_fence(store, found.get(self.fence_name))
        return replace(begun, fence=fence.token if fence else None)

    def begun(self, tags: Collection[str], found: Mapping[str, Stored]) -> Beginning:
        """What stood in what a batched read has `found`. Where that has no fence, no late tag will be believed."""
        fence = Fence.unpack(found.get(self.fence_name))
        return Beginning(tuple(tags), self.standing(tags, found), fence.token if fence else None)

    async def _first_fence(self, store: Store, damaged: Stored | None) -> Fence | None:
        """A fence where there is none, or in place of one that cannot be read: it would lie there for ever."""
        fence = Fence.new()
        if await _put(store, self.fence_name, damaged, fence.pack(), None):
            return fence
        return Fence.unpack((await store.read([self.fence_name])).get(self.fence_name))

    async def settle(
        self,
        store: Store,
        beginning: Beginning,
        ttl: float | None,
        late: Iterable[str] = (),
        inner: Mapping[str, bytes] | None = None,
    ) -> dict[str, bytes] | None:
        """The tokens for a record that is about to be stored, or None where it must not be stored.

        `late` are tags that became known during the computation, `inner` the tokens that inner computations took at
        their own start.
        """
        inner = inner or {}
        late = beginning.late(late)
        unread = [*late, *(tag for tag in inner if tag not in beginning.stamps and tag not in late)]
        stamps = {**beginning.stamps, **(await self._stand(store, unread, late, ttl) if unread else {})}
        carried = {tag: stamp.token for tag, stamp in stamps.items()}
        if any(carried.get(tag) != token for tag, token in inner.items()):
            return None
        if len(carried) < len(beginning.stamps) + len(unread):
            return None
        if late and not await self._spared(store, beginning, late):
            return None
        return carried if await self._extend(store, stamps, ttl) else None

    async def _stand(self, store: Store, unread: list[str], late: list[str], ttl: float | None) -> dict[str, Stamp]:
        """The stamps of `unread`, those of `late` made where they are missing."""
        stamps = self.standing(unread, await store.read(list(map(self.name, unread))))
        missing = [tag for tag in late if tag not in stamps]
        if not missing:
            return stamps
        made = Stamp.new(ttl)
        fresh = {tag: Stamp(os.urandom(_TOKEN), made.until) for tag in missing}
        added = await store.add_many({self.name(tag): stamp.pack() for tag, stamp in fresh.items()}, made.ttl)
        stamps.update({tag: stamp for tag, stamp in fresh.items() if self.name(tag) in added})
        lost = [tag for tag in missing if tag not in stamps]
        found = await store.read(list(map(self.name, lost))) if lost else {}
        stamps.update(self.standing(lost, found))
        for tag in lost:
            # What cannot be read is as good as missing, but keeps others out.
            damaged = found.get(self.name(tag)) if tag not in stamps else None
            if damaged is not None and await store.swap(self.name(tag), damaged, fresh[tag].pack(), made.ttl):
                stamps[tag] = fresh[tag]
        return stamps

    async def _spared(self, store: Store, beginning: Beginning, late: list[str]) -> bool:
        """Whether the fence, read after the late stamps, proves that none of them was expired since the beginning."""
        if beginning.fence is None:
            return False
        fence = Fence.unpack((await store.read([self.fence_name])).get(self.fence_name))
        return fence is not None and fence.spares(beginning.fence, late)

    async def _extend(self, store: Store, stamps: Mapping[str, Stamp], ttl: float | None) -> bool:
        """Make every stamp outlive the record; False where one was expired meanwhile."""
        for tag, stamp in stamps.items():
            if not stamp.covers(ttl) and not await self._extend_one(store, tag, stamp, ttl):
                return False
        return True

    async def _extend_one(self, store: Store, tag: str, stamp: Stamp, ttl: float | None) -> bool:
        name, now = self.name(tag), stamp
        for _ in range(_TRIES):
            longer = Stamp(stamp.token, Stamp.new(ttl).until)
            if await store.swap(name, now.pack(), longer.pack(), longer.ttl):
                return True
            found = self.standing([tag], await store.read([name])).get(tag)
            if found is None or found.token != stamp.token:
                return False
            # Somebody else extended it, maybe not far enough.
            if found.covers(ttl):
                return True
            now = found
        return False

    async def expire(self, store: Store, tags: Collection[str]) -> int:
        """Make every record that carries one of `tags` unusable; return how many of the tags had a stamp.

        The fence moves first: a computation that took a late stamp before its deletion then finds the fence moved.
        """
        if not tags:
            return 0
        stamps = list(map(self.name, dict.fromkeys(tags)))
        try:
            await self._move_fence(store, tags)
            return await store.remove(stamps)
        except BaseException:
            # Wherever it ended: a fence that is missing has moved, and a stamp that is missing is expired.
            store.owe([self.fence_name, *stamps])
            raise

    async def _move_fence(self, store: Store, tags: Collection[str]) -> None:
        for _ in range(_TRIES):
            stored = (await store.read([self.fence_name])).get(self.fence_name)
            fence = Fence.unpack(stored)
            if fence is None:
                break
            if await store.swap(self.fence_name, stored, fence.moved(tags).pack(), None):
                return
        # Without a history nothing is spared, which is always safe.
        await store.write({self.fence_name: Fence.new().pack()}, None)


async def _put(store: Store, name: str, damaged: Stored | None, stored: Stored, ttl: float | None) -> bool:
    """Store where nothing is, or in place of `damaged`; whether nobody else was faster."""
    if damaged is None:
        return await store.add(name, stored, ttl)
    return await store.swap(name, damaged, stored, ttl)


def tag_names(tags: Collection[str]) -> tuple[str, ...]:
    """`tags` in order, each once. Raises TypeError for a bare string, which would be taken letter by letter."""
    if isinstance(tags, str):
        raise TypeError(f"tags takes a list of names; put {tags!r} in one.")
    names: Collection[object] = tags
    for tag in names:
        if not isinstance(tag, str) or not tag:
            raise TypeError(f"A tag must be a string that is not empty, not {tag!r}.")
    return tuple(dict.fromkeys(tags))


def _digest(tag: str) -> bytes:
    return blake2b(tag.encode(errors="surrogatepass"), digest_size=_TOKEN).digest()
