"""What every call answers where there is no value, whatever the reason is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NOT_FOUND = "ValueError"


def _error_of(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ValueError:
        return NOT_FOUND


# For each call: how it is made, and its answer. `delete` and `add` come last: each call is given a key of its own.
ABSENT: dict[str, tuple[Callable[[Any, str], Any], Any]] = {
    "get": (lambda calls, key: calls.get(key), None),
    "get with a default": (lambda calls, key: calls.get(key, "default"), "default"),
    "get_many": (lambda calls, key: calls.get_many([key]), {}),
    "has_key": (lambda calls, key: calls.has_key(key), False),
    "ttl": (lambda calls, key: calls.ttl(key), 0),
    "touch": (lambda calls, key: calls.touch(key, 60), False),
    "incr": (lambda calls, key: _error_of(lambda: calls.incr(key)), NOT_FOUND),
    "incr by a float": (lambda calls, key: _error_of(lambda: calls.incr(key, 0.5)), NOT_FOUND),
    "decr": (lambda calls, key: _error_of(lambda: calls.decr(key)), NOT_FOUND),
    "incr_version": (lambda calls, key: _error_of(lambda: calls.incr_version(key)), NOT_FOUND),
    "decr_version": (lambda calls, key: _error_of(lambda: calls.decr_version(key)), NOT_FOUND),
    "get_or_set": (lambda calls, key: calls.get_or_set(key, "computed", 60), "computed"),
    "add": (lambda calls, key: (calls.add(key, "added", 60), calls.get(key)), (True, "added")),
}
# A record whose tag was expired may still lie there, and then `delete` says so.
DELETE: dict[str, tuple[Callable[[Any, str], Any], Any]] = {"delete": (lambda calls, key: calls.delete(key), False)}

# Having been asked, a call leaves nothing behind, except for those that store.
STORING = ("get_or_set", "add")


def keys_of(table: dict[str, Any], stem: str = "key") -> dict[str, str]:
    """A key for each call of `table`."""
    return {call: f"{stem}-{number}" for number, call in enumerate(table)}


def answers(calls: Any, table: dict[str, Any], stem: str = "key") -> dict[str, Any]:
    """What each call of `table` answers for its key, and whether a value is there afterwards."""
    found = {}
    for call, key in keys_of(table, stem).items():
        answer = table[call][0](calls, key)
        found[call] = (answer, calls.get(key) is not None)
    return found


def expected(table: dict[str, Any]) -> dict[str, Any]:
    """What `answers` has to find."""
    return {call: (answer, call in STORING) for call, (_, answer) in table.items()}
