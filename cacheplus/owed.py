"""Removals that a store still owes, because it failed when it was asked for them.

Whatever stands under such a name is older than something that the site was told, so it counts as absent until the
removal was carried out. To expire a tag is to delete its stamp, so an expiry that failed is owed in the same way. To
delete a newer value by it is only a miss.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

_MOST = 10_000


class Sweep(NamedTuple):
    """Everything that begins with `prefix`, or all there is where it is None."""

    prefix: str | None

    def covers(self, name: str) -> bool:
        """Whether `name` is part of it."""
        return self.prefix is None or name.startswith(self.prefix)

    def contains(self, other: str | Sweep) -> bool:
        """Whether it removes all that `other` does."""
        if isinstance(other, Sweep):
            return self.prefix is None or (other.prefix is not None and self.covers(other.prefix))
        return self.covers(other)


# A name or a sweep, and the number of the demand: a later demand for the same is not settled by what began before it.
Claims = Mapping[str | Sweep, int]
Held = dict[str | Sweep, int]


class Owed:
    """The removals that one store owes, oldest first: fences, then other names, then sweeps.

    A fence goes before the stamps, whenever either was asked for; see `Tags.expire`. Changes are to be made by one
    thread at a time.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._fences: Held = {}
        self._names: Held = {}
        self._sweeps: Held = {}
        self._demands = 0

    def __len__(self) -> int:
        return len(self._fences) + len(self._names) + len(self._sweeps)

    def owe(self, names: Iterable[str], fences: Collection[str] = ()) -> bool:
        """Remember `names`, those of them that are `fences` first; False where they are too many."""
        self._demands += 1
        for name in names:
            (self._fences if name in fences else self._names)[name] = self._demands
        return len(self._names) <= self._most

    def owe_all(self, prefix: str | None) -> None:
        """Remember that everything with `prefix` is to go; its names need not be remembered any more."""
        self._demands += 1
        sweep = Sweep(prefix)
        self._sweeps[sweep] = self._demands
        self._names = {key: demand for key, demand in self._names.items() if not sweep.covers(str(key))}

    def forget_oldest(self) -> int:
        """Forget the oldest names, so that there is room for a tenth; how many that were."""
        oldest = list(self._names)[: max(len(self._names) - self._most * 9 // 10, 0)]
        for name in oldest:
            del self._names[name]
        return len(oldest)

    def covers(self, name: str) -> bool:
        """Whether what stands under `name` counts as absent."""
        return name in self._names or name in self._fences or any(each.covers(name) for each in self._swept())

    def among(self, names: Collection[str]) -> Held:
        """The claims on `names`, sweeps that cover one of them included."""
        claims: Held = {}
        for held in (self._fences, self._names):
            claims.update((name, held[name]) for name in names if name in held)
        claims.update((each, self._sweeps[each]) for each in self._swept() if any(map(each.covers, names)))
        return claims

    def within(self, prefix: str | None) -> Held:
        """The claims that are settled once everything with `prefix` is removed."""
        cleared = Sweep(prefix)
        return {key: demand for key, demand in self.pending().items() if cleared.contains(key)}

    def fences(self) -> Held:
        """The claims that go before all others."""
        return self._fences.copy()

    def pending(self) -> Held:
        """All claims, in the order in which they are to be carried out."""
        return {**self._fences.copy(), **self._names.copy(), **self._sweeps.copy()}

    def settle(self, claims: Claims) -> None:
        """Forget what was carried out, unless it was demanded again since it was claimed."""
        for key, demand in claims.items():
            for held in (self._fences, self._names, self._sweeps):
                if held.get(key) == demand:
                    del held[key]

    def _swept(self) -> list[Sweep]:
        return [each for each in self._sweeps.copy() if isinstance(each, Sweep)]
