"""The fault boundary: the one place where what a store raises is met.

A fault is counted, the breaker is told, and what could not be removed is owed, before ON_FAULT has its say. While a
store owes removals, what they concern counts as absent to this process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

from cacheplus.breaker import Opening
from cacheplus.codecs.record import TOO_LARGE
from cacheplus.exceptions import BadRecord, CacheUnavailable, Flaw
from cacheplus.health import Health, Patient
from cacheplus.owed import Claims, Sweep

_BATCH = 500
# A fault that came at once may be of the write alone; what took longer is not asked a second time.
_QUICK = 0.1


# The names that a call of each primitive concerns.
_NAMES: Mapping[str, Callable[..., Collection[str]]] = {
    "read": lambda names: names,
    "write": lambda items, _ttl: items,
    "add": lambda name, *_: (name,),
    "add_many": lambda items, _ttl: items,
    "swap": lambda name, *_: (name,),
    "touch": lambda name, _ttl: (name,),
    "remove": lambda names: names,
    "increment": lambda name, _delta: (name,),
    "ttl": lambda name: (name,),
}

# What leaves nothing of before behind.
_SETTLING = {"write", "remove", "clear"}


class Leaf(Patient, Protocol):
    """A backend as a store sees it: beside these it has the primitives, `_read` to `_clear`, and their `_a` twins."""

    faults: tuple[type[BaseException], ...]
    answers: tuple[type[BaseException], ...]
    """Those of the faults that the store itself gave as its answer, so that it is not away."""

    @property
    def health(self) -> Health | None:
        """How the store is doing; None where nothing outside the process can be the matter with it."""

    def servers_of(self, names: Collection[str]) -> Collection[str]:
        """The servers that a call for `names` needs, as far as that is known."""

    def is_lasting(self) -> bool:
        """Whether what is done now stays done."""

    def report_fault(self, operation: str, error: BaseException) -> None:
        """Count, signal and log `error`."""

    def take_fault(self, primitive: str, args: tuple[Any, ...], error: BaseException, *, is_strict: bool) -> Any:
        """Report `error`; raise it again, or return what the primitive answers under a fault."""


class Boundary:
    """How the primitives of a backend are called where they may fail.

    A strict one raises every fault; another does what the alias's ON_FAULT says.
    """

    def __init__(self, leaf: Leaf, *, is_strict: bool = False) -> None:
        self.leaf = leaf
        self.is_strict = is_strict

    async def _ask(self, primitive: str, *args: Any) -> Any:
        """What the backend itself says; a fault is raised."""
        return getattr(self.leaf, f"_{primitive}")(*args)

    def owe(self, names: Collection[str]) -> None:
        """Whatever stands under `names` must not be read any more, and could not be removed."""
        health = self.leaf.health
        if health is not None:
            health.owe(self.leaf, names)
            health.see_to(self.leaf)

    def _is_refused(self, primitive: str, stored: Any) -> bool:
        """Whether no store is asked to keep it; that is a fault, though nobody's."""
        if stored is not TOO_LARGE:
            return False
        self.leaf.report_fault(primitive, BadRecord(Flaw.TOO_LARGE, "more bytes than MAX_BYTES_DECODED permits"))
        return True

    async def _call_with_care(self, health: Health, primitive: str, args: tuple[Any, ...]) -> Any:
        """`_call` for a store that failed a moment ago, or that owes removals."""
        servers = self._servers_of(primitive, args)
        opening = health.refusal(self.leaf, servers)
        if opening is not None:
            self._doubt(health, primitive, args)
            return self._take(primitive, args, refusal(self.leaf.alias, opening))
        begun = monotonic()
        try:
            answer = await (self._ask_owing(health, primitive, args) if health.owed else self._ask(primitive, *args))
        except self.leaf.faults as error:
            return await self._met(primitive, args, error, begun)
        health.answered(self.leaf.alias, servers)
        return answer

    def _servers_of(self, primitive: str, args: tuple[Any, ...]) -> Collection[str]:
        return self.leaf.servers_of(() if primitive == "clear" else _NAMES[primitive](*args))

    async def _ask_owing(self, health: Health, primitive: str, args: tuple[Any, ...]) -> Any:
        """`_ask`, while what the store owes counts as absent."""
        owed = health.owed
        await self._deliver_if_due(health)
        if primitive == "read":
            # Before the store is asked: what is removed meanwhile may have been read before.
            hidden = {name for name in args[0] if owed.covers(name)}
            found = await self._ask("read", args[0])
            return {name: found[name] for name in found if name not in hidden}
        claims = owed.within(*args) if primitive == "clear" else owed.among(_NAMES[primitive](*args))
        if primitive == "ttl" and claims:
            return 0.0
        if primitive not in _SETTLING:
            if claims:
                await self._deliver(health, {**owed.fences(), **claims})
            return await self._ask(primitive, *args)
        answer = await self._ask(primitive, *args)
        failed = set(answer) if primitive == "write" else ()
        # A name that was replaced is settled; a sweep that covers it is not.
        done = {key: demand for key, demand in claims.items() if primitive == "clear" or isinstance(key, str)}
        self._settle(health, {key: demand for key, demand in done.items() if key not in failed})
        return answer

    async def _deliver_if_due(self, health: Health) -> None:
        """Carry out what is owed where no thread of its own does so."""
        leaf = self.leaf
        if leaf.is_lasting() and health.is_due(leaf):
            try:
                await self._deliver(health, health.owed.pending())
            except leaf.faults as error:
                leaf.report_fault("remove", error)

    async def _deliver(self, health: Health, claims: Claims) -> None:
        """Carry out what is owed, in order."""
        names = [key for key in claims if not isinstance(key, Sweep)]
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            await self._ask("remove", batch)
            self._settle(health, {name: claims[name] for name in batch})
        for sweep in [key for key in claims if isinstance(key, Sweep)]:
            await self._ask("clear", sweep.prefix)
            self._settle(health, {sweep: claims[sweep]})

    def _settle(self, health: Health, claims: Claims) -> None:
        if self.leaf.is_lasting():
            health.settle(claims)

    async def heal(self) -> None:
        """Probe what is left alone, and carry out what is owed; then trust it again. Raises the fault of the rest."""
        leaf, health = self.leaf, self.leaf.health
        if health is None:
            return
        fault: BaseException | None = None
        back, away = [], set()
        for server in health.openings():
            try:
                await self._ask("probe", server)
                back.append(server)
            except leaf.faults as error:
                away.add(server)
                fault = error
        # Where it answers that it does not delete, a replica that only reads, say, what it owes stays absent.
        with suppress(*leaf.answers):
            await self._deliver(health, self._deliverable(health, away))
        health.answered(leaf.alias, back)
        if fault is not None:
            raise fault

    def _deliverable(self, health: Health, away: Collection[str]) -> Claims:
        """What is owed by servers that are not `away`."""
        claims = health.owed.pending()
        return {key: claims[key] for key in claims if self._is_reachable(key, away)} if away else claims

    def _is_reachable(self, key: str | Sweep, away: Collection[str]) -> bool:
        servers = self.leaf.servers_of(() if isinstance(key, Sweep) else (key,))
        # Where it is not known what a sweep needs it waits for all of them.
        return bool(servers) and not any(server in away for server in servers)

    async def _met(self, primitive: str, args: tuple[Any, ...], error: BaseException, begun: float) -> Any:
        """What a call answers that met a fault, once its consequences are taken care of."""
        leaf, health, seconds = self.leaf, self.leaf.health, monotonic() - begun
        if health is not None:
            if not isinstance(error, leaf.answers):
                health.failed(leaf, self._servers_of(primitive, args), error, seconds)
            self._doubt(health, primitive, args)
            if primitive == "write" and seconds < _QUICK and not health.openings():
                # A full disk, say, where a removal still works.
                claims = health.owed.among(args[0])
                with suppress(*leaf.faults):
                    await self._deliver(health, {key: claims[key] for key in claims if isinstance(key, str)})
            health.see_to(leaf)
        return self._take(primitive, args, error)

    def _doubt(self, health: Health, primitive: str, args: tuple[Any, ...]) -> None:
        """What was to be replaced or removed must not be read any more."""
        if primitive in {"write", "remove"}:
            health.owe(self.leaf, list(args[0]))
        elif primitive == "clear" and (args[0] is not None or not self.leaf.holds_others):
            health.owe_all(args[0])

    def _take(self, primitive: str, args: tuple[Any, ...], error: BaseException) -> Any:
        return self.leaf.take_fault(primitive, args, error, is_strict=self.is_strict)


def refusal(alias: str, opening: Opening) -> CacheUnavailable:
    """What a call meets whose store is left alone."""
    since = datetime.fromtimestamp(opening.at, UTC).strftime("%H:%M:%S")
    return CacheUnavailable(
        f"Cache {alias!r} is left alone since {since} UTC: it failed {opening.faults} times in a row, the last time "
        f"with {opening.kind}. It is tried again every second.",
        alias,
        opening.kind,
        opening.at,
    )
