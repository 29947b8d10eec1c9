"""F31, F32: stores that keep files, on a real disk that is full or may only be read."""

import shutil
import subprocess
from contextlib import contextmanager, suppress

import pytest

from cacheplus.backends.filebased import FileBasedCache
from cacheplus.backends.lmdb import LMDBCache
from cacheplus.exceptions import CacheFault

STORES = {
    "filebased": lambda location: FileBasedCache(location, {"OPTIONS": {"ON_FAULT": "miss", "MAX_ENTRIES": 1000}}),
    "lmdb": lambda location: LMDBCache(location, {"OPTIONS": {"ON_FAULT": "miss", "MAP_SIZE": 2**24}}),
}


def mount(*arguments):
    return subprocess.run(["mount", *arguments], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or mount("-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", place).returncode:
        pytest.skip("only root may mount a disk, and not everywhere")
    yield place
    # Lazily: a store may still have its files open.
    subprocess.run(["umount", "-l", place], check=True)


@contextmanager
def read_only(disk):
    """Nobody may write there; what is mapped for writing keeps a disk from being made so, hence `bind`."""
    assert mount("--bind", disk, disk).returncode == 0
    assert mount("-o", "remount,bind,ro", disk).returncode == 0
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture(params=STORES)
def build(request):
    return STORES[request.param]


def use(cache):
    """Call everything that a page might; nothing raises, and `incr` says that it cannot."""
    cache.get("key")
    cache.get_many(["key", "other"])
    cache.set("key", "new", 60, tags=["tag"])
    cache.set_many({"key": "new", "other": "new"}, 60)
    cache.add("another", 1)
    cache.touch("key", 50)
    cache.delete("other")
    cache.get_or_set("computed", "value")
    cache.expire_tags("tag")
    cache.clear()
    with suppress(CacheFault, ValueError):
        cache.incr("number")


def test_a_full_disk_is_a_miss_and_serves_no_old_value(build, disk):
    cache = build(disk / "cache")
    for number in range(60):
        cache.set("key", "old", 60)
        failed = cache.set_many({f"key-{number}": "x" * 200_000}, 60)
        assert cache.get(f"key-{number}") == (None if failed else "x" * 200_000)
        failed = cache.set_many({"key": "y" * 300_000}, 60)
        assert cache.get("key") == (None if failed else "y" * 300_000)
        use(cache)
    assert cache.set_many({"key": "new"}) == []
    assert cache.get("key") == "new"


def test_a_disk_that_is_full_of_other_things_is_a_miss(build, disk):
    cache = build(disk / "cache")
    with pytest.raises(OSError, match="No space left"):
        (disk / "other").write_bytes(b"x" * 2**23)
    use(cache)
    assert cache.get("key") is None
    (disk / "other").unlink()
    assert build(disk / "cache").set_many({"key": "value"}) == []


def test_a_disk_that_may_only_be_read_is_a_miss_from_the_start(build, disk):
    with read_only(disk):
        cache = build(disk / "cache")
        use(cache)
        assert cache.get("key") is None
        assert cache.set_many({"key": "value"}) == ["key"]


def test_files_on_a_disk_that_may_only_be_read_can_still_be_read(disk):
    cache = STORES["filebased"](disk / "cache")
    cache.set("key", "value", 60)
    with read_only(disk):
        assert cache.get("key") == "value"
        assert cache.add("other", "value") is False
        assert cache.touch("key", 5) is False
        # It cannot be deleted either, so this process does not believe it any more.
        assert cache.set_many({"key": "new"}) == ["key"]
        assert cache.get("key") is None
        use(cache)


def test_a_location_below_a_file_is_a_miss(build, tmp_path):
    (tmp_path / "file").write_text("no directory")
    cache = build(tmp_path / "file" / "cache")
    use(cache)
    assert cache.get("key") is None
