"""The recorder: collects the tags met while something is computed, for whatever encloses it.

A page that contains a cached fragment expires with that fragment, a function with the functions it calls. The recorder
travels with the context, so it holds across threads started by asgiref and across awaits.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Recorder:
    """What one computation has met so far.

    `stamps` are the tokens of inner records by tag, per space (the tags of one alias on one store); `tags` became known
    by name only. A tag that was met with two tokens was expired in between, and makes the whole unfit to be stored.
    """

    stamps: dict[Hashable, dict[str, bytes]] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    torn: bool = False

    def meet(self, space: Hashable, stamps: Mapping[str, bytes]) -> None:
        """Take over the stamps of an inner record of `space`."""
        known = self.stamps.setdefault(space, {})
        for tag, token in stamps.items():
            self.torn |= known.setdefault(tag, token) != token

    def split(self, space: Hashable) -> tuple[dict[str, bytes], set[str]]:
        """(inner stamps, late tags) as seen from `space`: another space's tokens mean nothing here, its tags do."""
        foreign = {tag for other, stamps in self.stamps.items() if other != space for tag in stamps}
        return self.stamps.get(space, {}), self.tags | foreign

    def merge(self, inner: Recorder) -> None:
        """Take over all that an enclosed computation has met."""
        for space, stamps in inner.stamps.items():
            self.meet(space, stamps)
        self.tags |= inner.tags
        self.torn |= inner.torn


_current: ContextVar[Recorder | None] = ContextVar("cacheplus_recorder", default=None)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Collect what is met inside; what was collected also goes to the enclosing recorder."""
    outer, recorder = _current.get(), Recorder()
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)
        if outer is not None:
            outer.merge(recorder)


def meet_stamps(space: Hashable, stamps: Mapping[str, bytes]) -> None:
    """Tell the current recorder, if there is one, of a record that was used."""
    recorder = _current.get()
    if recorder is not None and stamps:
        recorder.meet(space, stamps)


def meet_tags(tags: Iterable[str]) -> None:
    """Tell the current recorder, if there is one, of tags by name."""
    recorder = _current.get()
    if recorder is not None:
        recorder.tags.update(tags)
