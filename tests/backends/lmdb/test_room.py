"""What happens when the map, or the disk, is full."""

import errno
import os
import time
from pathlib import Path

import pytest

from cacheplus.backends.lmdb_files import Files

HOUR = 3600


def test_a_full_map_makes_room_for_new_values(cache):
    for n in range(20_000):
        cache.set(f"key-{n}", str(n) * 50, HOUR + n)
    found = cache.get_many([f"key-{n}" for n in range(20_000)])
    assert 2000 < len(found) < 20_000
    assert set(found) == {f"key-{n}" for n in range(20_000 - len(found), 20_000)}


def test_what_expired_goes_before_anything_else(cache):
    cache.set_many({f"dead-{n}": "x" * 500 for n in range(3000)}, 0.5)
    cache.set_many({f"live-{n}": "x" * 500 for n in range(1000)}, 60)
    time.sleep(0.6)
    for n in range(2000):
        cache.set(f"new-{n}", "x" * 500, 30)
    found = cache.get_many([f"{kind}-{n}" for kind in ("dead", "live", "new") for n in range(3000)])
    assert len(found) == 3000


def test_what_ends_soonest_goes_next_and_what_is_for_ever_last(cache):
    cache.set_many({f"long-{n}": "x" * 900 for n in range(1000)}, None)
    cache.set_many({f"short-{n}": "x" * 900 for n in range(1500)}, 60)
    for n in range(1000):
        cache.set(f"new-{n}", "x" * 900, HOUR)
    found = cache.get_many([f"{kind}-{n}" for kind in ("long", "short", "new") for n in range(1500)])
    counts = {kind: sum(key.startswith(kind) for key in found) for kind in ("long", "short", "new")}
    assert counts["long"] == 1000
    assert counts["new"] == 1000
    assert 0 < counts["short"] < 500


@pytest.mark.parametrize("size", [100, 5_000, 100_000, 500_000])
def test_values_of_any_size_go_in_and_out_for_ever(cache, size):
    """Each is stored, whatever stood there before and however torn the free space is."""
    for n in range(300 if size > 5000 else 3000):
        value = str(n) * (size // len(str(n)))
        cache.set(f"key-{n % 700}", value, HOUR)
        assert cache.get(f"key-{n % 700}") == value
    cache.set("small", "value")
    assert cache.get("small") == "value"


def test_a_mixture_of_sizes_goes_in(cache):
    for n in range(3000):
        value = str(n % 10) * (50, 50, 3000, 50, 90_000, 50)[n % 6]
        assert cache.set_many({f"key-{n}": value}, HOUR) == []
        assert cache.get(f"key-{n}") == value


def test_a_value_that_is_too_large_is_not_stored_and_the_old_one_is_gone(cache):
    """F34: and nothing else goes for it."""
    cache.set_many({"key": "old", "other": "value"})
    value = "x" * 2**20
    start = time.monotonic()
    assert cache.set_many({"key": value, "small": "value"}) == ["key"]
    assert time.monotonic() - start < 0.2
    assert cache.get_many(["key", "other", "small"]) == {"other": "value", "small": "value"}
    cache.set("other", value)
    assert cache.add("third", value) is False
    assert cache.get_many(["other", "third"]) == {}


def test_more_at_once_than_the_map_holds_stores_what_fits(cache):
    data = {f"key-{n}": "x" * 400_000 for n in range(20)}
    assert cache.set_many(data, HOUR) == []
    found = cache.get_many(data)
    assert "key-19" in found
    assert len(found) < 20


def test_the_cost_of_a_write_does_not_grow_with_the_store(make):
    """Pages that a write copies, not seconds: they are what LMDB's work is measured in."""
    cache = make(MAP_SIZE=2**26)
    copied = []
    for upto in (1000, 100_000):
        cache._write({f"key-{n}": b"x" * 100 for n in range(upto)}, HOUR)
        info = cache._store._opened.env.info
        before = info()["last_pgno"]
        reader = cache._store._opened.env.begin()  # so that nothing is used again
        for n in range(100):
            cache._write({f"key-{n}": b"y" * 100}, HOUR)
        reader.abort()
        copied.append(info()["last_pgno"] - before)
    assert copied[1] < 2 * copied[0]


def test_an_empty_store_takes_little_of_the_disk(cache, location):
    cache.set("key", "value")
    assert sum(path.stat().st_blocks * 512 for path in location.iterdir()) < 2**21


def test_disk_space_is_taken_before_it_is_needed(make, location):
    """A write to a map that the disk has no space for ends the process."""
    cache = make(MAP_SIZE=2**24)
    for n in range(3000):
        cache.set(f"key-{n}", "x" * 2000, HOUR)
        if n % 100 == 0:
            used = (cache._store._opened.env.info()["last_pgno"] + 1) * 4096
            assert (location / "data.mdb").stat().st_blocks * 512 >= min(used + 2**17, 2**24)


class FullDisk:
    """Stands in for `os.posix_fallocate` on a disk that has `free` bytes for one file."""

    def __init__(self, free, error=errno.ENOSPC):
        self.free, self.error = free, error
        self.allocate = os.posix_fallocate

    def __call__(self, file, offset, size):
        if offset + size > self.free:
            raise OSError(self.error, os.strerror(self.error))
        self.allocate(file, offset, size)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_gets_a_smaller_store(make, monkeypatch, error):
    """F31: what was there goes, and with it what was to be expired; nothing is raised."""
    cache = make(MAP_SIZE=2**24)
    monkeypatch.setattr(os, "posix_fallocate", FullDisk(2**22, error))
    for n in range(3000):
        cache.set(f"key-{n}", "x" * 2000, HOUR)
        assert cache.get(f"key-{n}") == "x" * 2000
    assert cache.get("key-0") is None


def test_a_disk_without_any_space_is_a_fault_and_leaves_nothing(make, location, monkeypatch):
    cache, forgiving = make(), make(ON_FAULT="miss")
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", FullDisk(0))
        with pytest.raises(OSError, match="No space left"):
            cache.set("key", "value")
        assert forgiving.set_many({"key": "value"}) == ["key"]
        assert forgiving.get("key", "default") == "default"
        assert not (location / "data.mdb").exists()
    forgiving.set("key", "value")
    assert forgiving.get("key") == "value"


def test_a_disk_that_breaks_is_a_fault_and_costs_nothing(make, monkeypatch):
    cache = make(MAP_SIZE=2**24)
    cache.set("key", "value")
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", FullDisk(0, errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            cache.set("large", "x" * 2_000_000)
        assert cache.get("key") == "value"
    cache.set("large", "x" * 2_000_000)
    assert cache.get_many(["key", "large"]) == {"key": "value", "large": "x" * 2_000_000}


def test_a_disk_that_cannot_reserve_is_used_all_the_same(cache, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", FullDisk(0, errno.EOPNOTSUPP))
    cache.set("key", "value")
    assert cache.get("key") == "value"


def test_every_handle_is_closed_where_the_store_cannot_be_made(make, monkeypatch):
    monkeypatch.setattr(Files, "complete", lambda *_: (_ for _ in ()).throw(OSError("no more")))
    cache = make(ON_FAULT="miss")
    cache.get("key")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        cache.get("key")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
