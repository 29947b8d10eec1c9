"""Sessions over a cache that is away."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from django.core.cache import caches
from django.test import override_settings

from tests.faults.behaviour import Measured, behaviour, unexpected
from tests.faults.stores import SERVERS, nobody


@behaviour(
    "sessions in the database and the cache, without the server",
    *SERVERS,
    bars={"raised": 0, "lost": 0, "a session created, saved and loaded s": 0.05},
    small={"count": 4},
    large={"count": 30},
)
def cached_db(store: str, *, count: int) -> Measured:
    raised = lost = 0
    slowest = 0.0
    with override_settings(CACHES={"default": nobody(store, ON_FAULT="miss")}):
        engine = import_module("django.contrib.sessions.backends.cached_db")
        # What the first faults cost is told by other figures.
        _create(engine)
        for number in range(count):
            since = time.perf_counter()
            try:
                session = _create(engine, number)
                lost += engine.SessionStore(session.session_key).get("number") != number
            except Exception as error:  # noqa: BLE001 - that is what is counted
                raised += unexpected(error)
            slowest = max(slowest, time.perf_counter() - since)
    return {"sessions": count, "raised": raised, "lost": lost, "a session created, saved and loaded s": slowest}


def _create(engine: Any, number: int = 0) -> Any:
    session = engine.SessionStore()
    session["number"] = number
    session.create()
    session["number"] = number
    session.save()
    return session


@behaviour(
    "sessions in the cache alone, without the server",
    *SERVERS,
    bars={"a session was made": 0, "clear error s": 1.0},
    small={"modes": ("raise",)},
    large={"modes": ("raise",)},
)
def cache_alone(store: str, *, modes: tuple[str, ...]) -> Measured:
    """It raises what the store raises, at once, and does not try ten thousand times."""
    made, slowest = 0, 0.0
    for mode in modes:
        with override_settings(CACHES={"default": nobody(store, ON_FAULT=mode)}):
            engine = import_module("django.contrib.sessions.backends.cache")
            since = time.perf_counter()
            try:
                engine.SessionStore().create()
            except caches["default"].faults:
                pass
            else:
                made += 1
            slowest = max(slowest, time.perf_counter() - since)
    return {"a session was made": made, "clear error s": slowest}
