"""F40: stores that keep files, when one of the calls to the system fails, whichever that is."""

import fcntl
import os
from contextlib import suppress

import pytest

from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.lmdb import LMDBCache
from cacheplus.exceptions import CacheFault

STORES = {"filebased": FileBasedCache, "lmdb": LMDBCache}
CALLS = {
    "get": lambda cache: cache.get("key"),
    "get_many": lambda cache: cache.get_many(["key", "number"]),
    "get_or_set": lambda cache: cache.get_or_set("missing", 5, 60),
    "set": lambda cache: cache.set("key", "new", 60),
    "set_many": lambda cache: cache.set_many({"key": "new", "other": "new"}, 60),
    "add": lambda cache: cache.add("missing", 1, 60),
    "touch": lambda cache: cache.touch("key", 60),
    "incr": lambda cache: cache.incr("number"),
    "delete": lambda cache: cache.delete("key"),
    "expire_tags": lambda cache: cache.expire_tags("tag"),
    "clear": lambda cache: cache.clear(),
}
SYSTEM = [
    *((os, name) for name in ("open", "replace", "utime", "fchmod", "fstat", "stat", "lstat", "unlink", "mkdir")),
    *((os, name) for name in ("posix_fallocate", "ftruncate", "pwrite", "chmod", "scandir")),
    (fcntl, "flock"),
]


class Failing:
    """Lets the n-th call of a function fail, once."""

    def __init__(self, function, number):
        self.function = function
        self.number = number
        self.seen = 0

    def __call__(self, *args, **kwargs):
        self.seen += 1
        if self.seen == self.number:
            raise OSError(5, "Input/output error")
        return self.function(*args, **kwargs)


@pytest.mark.parametrize("is_new", [False, True], ids=["in use", "new"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("store", STORES)
def test_whichever_call_to_the_system_fails_nothing_is_raised_and_no_old_value_is_read(
    store, call, is_new, tmp_path, monkeypatch
):
    failures = 0
    for module, name in SYSTEM:
        number, has_failed = 0, True
        while has_failed and number < 12:
            number += 1
            location = tmp_path / (f"{name}-{number}" if is_new else "used")
            cache = STORES[store](location, {"OPTIONS": {"ON_FAULT": "miss"}})
            if not is_new:
                assert cache.set_many({"key": "old", "number": 1}, 60) == [], (name, number)
            with monkeypatch.context() as patch:
                patch.setattr(module, name, failing := Failing(getattr(module, name), number))
                with suppress(CacheFault, *([ValueError] if is_new else [])):
                    CALLS[call](cache)
            has_failed = failing.seen >= number
            failures += has_failed
            if call in ("set", "set_many"):
                assert cache.get("key") in (None, "new")
            assert cache.set_many({"after": number}, 60) == [], (name, number)
    assert failures or (store, is_new) == ("lmdb", False)
