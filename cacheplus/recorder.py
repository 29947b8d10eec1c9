"""The recorder: collects the tags met while something is computed, for whatever encloses it.

A page that contains a cached fragment expires with that fragment, a function with the functions it calls. The recorder
travels with the context, so it holds across threads started by asgiref and across awaits.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic

from cacheplus.http.reasons import Reason


class Recorder:
    """What one computation has met so far.

    `stamps` are the tokens of inner records by tag, per space (the tags of one alias on one store); `tags` became known
    by name only. A tag that was met with two tokens was expired in between, and makes the whole unfit to be stored.
    """

    def __init__(self, outer: Recorder | None = None) -> None:
        self.stamps: dict[Hashable, dict[str, bytes]] = {}
        self.tags: set[str] = set()
        self.torn = False
        self.tracks_tables = True
        """Whether queries add the tags of their tables."""
        self.as_of = inf
        """When the oldest snapshot was taken that something was read from, on the monotonic clock."""
        self._outer = outer
        self._began = monotonic()
        self._refused: Reason | None = None
        self._owner: weakref.ref[object] | None = None

    def meet(self, space: Hashable, stamps: Mapping[str, bytes]) -> None:
        """Take over the stamps of an inner record of `space`."""
        known = self.stamps.setdefault(space, {})
        for tag, token in stamps.items():
            self.torn |= known.setdefault(tag, token) != token

    def split(self, space: Hashable) -> tuple[dict[str, bytes], set[str]]:
        """(inner stamps, late tags) as seen from `space`: another space's tokens mean nothing here, its tags do."""
        foreign = {tag for other, stamps in self.stamps.items() if other != space for tag in stamps}
        return self.stamps.get(space, {}), self.tags | foreign

    def refuse(self, reason: Reason) -> None:
        """Let the whole not be stored."""
        self._refused = self._refused or reason

    @property
    def refusal(self) -> Reason | None:
        """Why the whole must not be stored, whatever the store says of its tags."""
        if self.torn:
            return Reason.SUPERSEDED
        # What changed between the snapshot and the beginning expired before anything was noted down here.
        return self._refused or (Reason.SNAPSHOT if self.as_of <= self._began else None)

    @property
    def is_private(self) -> bool:
        """Whether it holds what others must not be shown: a change that may be rolled back, or data of long ago."""
        return self.refusal in {Reason.UNCOMMITTED, Reason.SNAPSHOT}

    def hold(self, owner: object) -> None:
        """Go on collecting after `recording` has ended, until `release`, or until `owner` is gone.

        A template response is rendered after its view has returned.
        """
        self._owner = weakref.ref(owner)
        _current.set(self)

    def release(self) -> None:
        """End what `hold` began."""
        if _current.get() is self:
            _current.set(self._outer)
        self._hand_outward()

    @property
    def is_abandoned(self) -> bool:
        """Whether it is held for something that no longer exists: a response that was never rendered."""
        return self._owner is not None and self._owner() is None

    def take_over(self, inner: Recorder) -> None:
        """Take over all that `inner` has met."""
        for space, stamps in inner.stamps.items():
            self.meet(space, stamps)
        self.tags |= inner.tags
        self.torn |= inner.torn
        self.as_of = min(self.as_of, inner.as_of)
        if inner._refused is not None:
            self.refuse(inner._refused)

    def _hand_outward(self) -> None:
        if self._outer is not None:
            self._outer.take_over(self)


_current: ContextVar[Recorder | None] = ContextVar("cacheplus_recorder", default=None)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Collect what is met inside; what was collected also goes to the enclosing recorder."""
    recorder = Recorder(current())
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)
        recorder._hand_outward()  # noqa: SLF001 - this function is the other half of the class


@contextmanager
def apart() -> Iterator[None]:
    """Within the block nothing is handed to what encloses it: work that goes on when that has ended."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Recorder | None:
    """The recorder of what is being computed here, if there is one."""
    recorder = _current.get()
    while recorder is not None and recorder.is_abandoned:
        recorder = recorder._outer  # noqa: SLF001 - as in `recording`
    return recorder


def meet_stamps(space: Hashable, stamps: Mapping[str, bytes]) -> None:
    """Tell the current recorder, if there is one, of a record that was used."""
    recorder = current() if stamps else None
    if recorder is not None:
        recorder.meet(space, stamps)


def meet_recorded(other: Recorder) -> None:
    """Tell the current recorder, if there is one, of all that another computation has met."""
    recorder = current()
    if recorder is not None:
        recorder.take_over(other)


def meet_tags(tags: Iterable[str]) -> None:
    """Tell the current recorder, if there is one, of tags by name."""
    recorder = current()
    if recorder is not None:
        recorder.tags.update(tags)
