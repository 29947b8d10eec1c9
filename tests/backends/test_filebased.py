import os
import secrets
import shutil
import stat
import threading
import time
import zlib
from pathlib import Path

import pytest
from django.core.cache.backends.filebased import FileBasedCache as DjangoFileBasedCache

from cacheplus.backends import file_directory, file_room, filebased, moment
from cacheplus.backends.directories import UnsafeLocation
from cacheplus.backends.file_directory import Directory
from cacheplus.backends.file_room import Limit
from cacheplus.backends.filebased import FileBasedCache
from cacheplus.exceptions import LockNotAcquired


class Clocks:
    """`time`, with a wall clock that can be set and a steady one that cannot; both stand still."""

    CLOCK_MONOTONIC = time.CLOCK_MONOTONIC

    def __init__(self):
        self.wall, self.steady = 1_800_000_000.0, 5000.0

    def time(self):
        return self.wall

    def clock_gettime(self, _clock):
        return self.steady

    def set(self, seconds):
        self.wall += seconds

    def __iadd__(self, seconds):
        self.wall += seconds
        self.steady += seconds
        return self


@pytest.fixture
def clocks(monkeypatch):
    clocks = Clocks()
    monkeypatch.setattr(filebased, "time", clocks)
    monkeypatch.setattr(moment, "time", clocks)
    return clocks


@pytest.fixture
def location(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def make(location):
    return lambda params=None, **options: FileBasedCache(location, {**(params or {}), "OPTIONS": options})


@pytest.fixture
def listed():
    """The directories that are listed from now on."""
    listed, scandir = [], os.scandir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", lambda place: listed.append(Path(place)) or scandir(place))
        yield listed


def path_of(cache, key="key"):
    return Path(cache._key_to_file(key))


def entries(location, kind="values"):
    return list((location / kind).rglob("*.djcache"))


def temporary(location):
    return list(location.rglob(".tmp-*"))


def fill(cache, count, **kwargs):
    for number in range(count):
        cache.set(f"key-{number}", number, **kwargs)


def left(cache, count):
    return sorted(int(key.removeprefix("key-")) for key in cache.get_many([f"key-{n}" for n in range(count)]))


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


class TestCost:
    """What a write costs does not depend on how much is stored."""

    def test_below_the_limit_nothing_is_listed(self, make, listed):
        fill(make(MAX_ENTRIES=200), 199)
        another = make(MAX_ENTRIES=200)
        for _ in range(20):
            another.set("key", "value")
            another.delete("key")
        fill(another, 199)
        assert listed == []

    def test_a_full_store_lists_all_parts_once_for_many_writes(self, make, listed):
        fill(make(MAX_ENTRIES=60), 200)
        # 60 fit, and then each look makes room for a third of them.
        assert len(listed) == 256 * (200 - 60) // 20

    def test_a_large_store_lists_one_part_and_only_when_that_is_full(self, make, location, monkeypatch, listed):
        monkeypatch.setattr(file_room, "LARGE", 512)
        cache = make(MAX_ENTRIES=512)
        for number in range(1200):
            before = len(listed)
            cache.set(f"key-{number}", number)
            assert listed[before:] in ([], [path_of(cache, f"key-{number}").parent])
        assert len(listed) > 100
        assert len(entries(location)) <= 512

    def test_few_expired_entries_are_no_reason_to_look_at_every_write(self, make, clocks, listed):
        cache = make(MAX_ENTRIES=320)
        fill(cache, 319, timeout=None)
        for number in range(50):
            cache.set(f"short-{number}", number, 1)
            clocks += 2
        assert len(listed) <= 256


class TestCulling:
    """How many go is as in Django, and pinned by its tests; which ones, is not."""

    @pytest.mark.parametrize(("limit", "frequency"), [(30, 3), (30, 2), (30, 1), (30, 0), (40, 5)])
    def test_as_many_go_as_in_django(self, make, tmp_path, limit, frequency):
        ours = make(MAX_ENTRIES=limit, CULL_FREQUENCY=frequency)
        theirs = DjangoFileBasedCache(tmp_path / "django", ours._params)
        for cache in (ours, theirs):
            fill(cache, 50)
        assert len(left(ours, 50)) == len(left(theirs, 50))

    @pytest.mark.parametrize(("limit", "frequency", "kept"), [(10, 20, 10), (1, 3, 1), (0, 3, 1)])
    def test_at_least_one_goes_where_django_would_grow_for_ever(self, make, limit, frequency, kept):
        cache = make(MAX_ENTRIES=limit, CULL_FREQUENCY=frequency)
        fill(cache, 50)
        assert len(left(cache, 50)) == kept

    def test_expired_ones_are_enough_if_they_make_room(self, make, clocks):
        cache = make(MAX_ENTRIES=20)
        fill(cache, 10, timeout=None)
        for number in range(10):
            cache.set(f"dead-{number}", number, 1)
        clocks += 1
        for number in range(10, 20):
            cache.set(f"key-{number}", number)
        assert left(cache, 20) == list(range(20))

    def test_then_those_go_that_end_soonest(self, make):
        cache = make(MAX_ENTRIES=9, CULL_FREQUENCY=3)
        for number in (4, 0, 7, 2, 8, 1, 6, 3, 5):
            cache.set(f"key-{number}", number, 100 + number)
        cache.touch("key-1", None)
        cache.incr("key-0")
        cache.set("key-9", 9, 50)
        assert left(cache, 10) == [1, 4, 5, 6, 7, 8, 9]

    def test_a_limit_changed_at_run_time_holds(self, make):
        cache = make(MAX_ENTRIES=100)
        fill(cache, 20)
        cache._max_entries = 5
        fill(cache, 40)
        assert len(left(cache, 40)) <= 5

    def test_what_is_deleted_makes_room(self, make):
        cache = make(MAX_ENTRIES=10)
        for number in range(50):
            cache.set(f"key-{number}", number)
            if number >= 9:
                assert cache.delete(f"key-{number - 9}") is True
        assert left(cache, 50) == list(range(41, 50))

    def test_a_count_that_is_wrong_is_put_right(self, make, location):
        cache = make(MAX_ENTRIES=10)
        fill(cache, 9)
        for path in entries(location):
            path.unlink()
        fill(cache, 9)
        assert left(cache, 9) == list(range(9))

    def test_what_is_written_anew_while_it_is_looked_at_stays(self, make, monkeypatch):
        cache, surplus = make(MAX_ENTRIES=3, CULL_FREQUENCY=1), file_room.surplus

        def meanwhile(*args):
            goners = surplus(*args)
            make().set("key-1", "new", 60)
            return goners

        fill(cache, 3)
        monkeypatch.setattr(file_room, "surplus", meanwhile)
        cache.set("key-3", 3)
        assert cache.get_many(["key-0", "key-1", "key-2", "key-3"]) == {"key-1": "new", "key-3": 3}

    def test_what_is_deleted_while_it_is_looked_at_is_not_missed(self, make, monkeypatch):
        cache, listing = make(MAX_ENTRIES=3), Directory.listing

        def meanwhile(place, *, alone):
            found = listing(place, alone=alone)
            if place == path_of(cache, "key-1").parent:
                path_of(cache, "key-1").unlink()
            return found

        fill(cache, 3)
        monkeypatch.setattr(Directory, "listing", staticmethod(meanwhile))
        cache.set("key-3", 3)
        assert len(left(cache, 4)) == 2
        assert 3 in left(cache, 4)

    def test_what_cannot_be_deleted_is_no_reason_to_refuse_a_value(self, make, monkeypatch):
        cache = make(MAX_ENTRIES=3)
        fill(cache, 3)
        monkeypatch.setattr(Directory, "remove", staticmethod(lambda path: Path(os.devnull, "x").unlink()))
        cache.set("key-3", 3)
        assert left(cache, 4) == [0, 1, 2, 3]

    def test_stamps_fences_and_locks_do_not_count(self, make):
        cache = make(MAX_ENTRIES=10)
        for number in range(10):
            cache.set(f"key-{number}", number, tags=[f"tag-{number}", f"other-{number}"])
        with cache.lock("a"), cache.lock("b"):
            assert left(cache, 10) == list(range(10))

    def test_stamps_are_not_culled_with_the_values(self, make):
        cache = make(MAX_ENTRIES=10, CULL_FREQUENCY=0)
        cache.set("tagged", 0, None, tags=["tag"])
        fill(cache, 40, timeout=1000)
        assert cache.expire_tags("tag") == 1

    def test_of_stamps_and_locks_the_oldest_go_first(self, make, location, monkeypatch):
        monkeypatch.setattr(filebased, "_SERVICE_LIMIT", Limit(50, 10, by_age=True))
        cache = make(MAX_ENTRIES=1000)
        for number in range(100):
            cache.set(f"key-{number}", number, 1000, tags=[f"tag-{number}"])
        with cache.lock("key", timeout=5):
            for number in range(100, 130):
                cache.set(f"key-{number}", number, 1000, tags=[f"tag-{number}"])
            with pytest.raises(LockNotAcquired), make().lock("key", wait=0):
                pass
        assert len(entries(location, "services")) <= 50
        assert cache.get("key-129") == 129


class TestPrivacy:
    @pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
    def test_nobody_else_may_enter_whatever_the_umask(self, make, location, umask):
        before = os.umask(umask)
        try:
            cache = FileBasedCache(location / "nested" / "deep", {})
            cache.set("key", "value", tags=["tag"])
            assert cache.get("key") == "value"
            assert cache.incr_version("key") == 2
        finally:
            os.umask(before)
        for path in (location, *location.rglob("*")):
            assert mode(path) == (0o700 if path.is_dir() else 0o600)

    @pytest.mark.parametrize("bits", [0o770, 0o707, 0o1777])
    def test_a_directory_that_others_can_write_to_is_refused(self, make, location, bits):
        location.mkdir()
        location.chmod(bits)
        cache = make()
        for call in (lambda: cache.set("key", 1), lambda: cache.add("key", 1), lambda: cache.incr("key"), cache.clear):
            with pytest.raises(UnsafeLocation, match=rf"written to by other users.*{bits:04o}"):
                call()
        assert cache.get("key") is None
        assert list(location.iterdir()) == []

    def test_a_directory_of_somebody_else_is_refused_and_left_as_it_is(self, make, location):
        if os.geteuid():
            pytest.skip("only root can give a directory away")
        location.mkdir(mode=0o700)
        os.chown(location, 1234, -1)
        with pytest.raises(UnsafeLocation, match="belongs to user 1234"):
            make().set("key", "value")
        with pytest.raises(UnsafeLocation, match="belongs to user 1234"):
            make().clear()
        assert list(location.iterdir()) == []

    @pytest.mark.parametrize("level", [0, 2], ids=["location", "part"])
    def test_a_directory_that_is_a_link_is_refused(self, make, tmp_path, level):
        target = tmp_path / "target"
        target.mkdir(mode=0o700)
        place = path_of(make()).parents[2 - level]
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.symlink_to(target)
        with pytest.raises(UnsafeLocation, match="symbolic link"):
            make().set("key", "value")
        assert list(target.iterdir()) == []

    def test_a_link_in_place_of_an_entry_is_a_miss_and_goes(self, make, tmp_path):
        cache = make()
        cache.set("key", "value")
        aside = tmp_path / "aside"
        path_of(cache).rename(aside)
        path_of(cache).symlink_to(aside)
        before = aside.read_bytes()
        assert cache.get("key") is None
        assert cache.touch("key") is False
        assert cache.add("key", "new") is True
        assert cache.get("key") == "new"
        assert aside.read_bytes() == before

    def test_a_link_in_place_of_a_lock_is_not_followed(self, make, tmp_path):
        cache = make()
        cache.set("key", "value")
        lock = path_of(cache).with_name(".lock")
        lock.unlink()
        lock.symlink_to(tmp_path / "target")
        with pytest.raises(OSError, match="symbolic links"):
            cache.set("key", "new")
        assert not (tmp_path / "target").exists()

    def test_a_file_of_somebody_else_is_a_miss_and_goes(self, make):
        if os.geteuid():
            pytest.skip("only root can give a file away")
        cache = make()
        cache.set("key", "value")
        os.chown(path_of(cache), 1234, -1)
        assert cache.get("key") is None
        cache.set("key", "new")
        assert cache.get("key") == "new"
        assert path_of(cache).stat().st_uid == os.geteuid()

    def test_a_file_that_cannot_be_read_is_a_miss_and_goes(self, make, monkeypatch):
        cache = make()
        cache.set("key", "value")
        with monkeypatch.context() as patch:
            refuse = PermissionError(13, "Permission denied")
            patch.setattr(file_directory, "_open_own", lambda *_: (_ for _ in ()).throw(refuse))
            assert cache.get("key") is None
            cache.set("key", "new")
        assert cache.get("key") == "new"

    def test_a_directory_that_cannot_be_entered_is_a_fault(self, make, monkeypatch):
        refuse = PermissionError(13, "Permission denied")
        monkeypatch.setattr(file_directory, "_open_own", lambda *_: (_ for _ in ()).throw(refuse))
        with pytest.raises(PermissionError):
            make().get("key")

    @pytest.mark.parametrize("put", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
    def test_what_is_no_file_is_a_miss_at_once(self, make, put):
        cache = make()
        cache.set("key", "value")
        path_of(cache).unlink()
        put(path_of(cache))
        assert cache.get("key") is None
        cache.clear()
        cache.set("other", "value")
        assert cache.get("other") == "value"


class TestDamage:
    """F27, F28: a file that is not what was written is a miss, and the next write heals it."""

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: b"garbage",
            lambda content: b"<html></html>" * 100,
            lambda content: content[:-1],
            lambda content: content[: len(content) // 2],
            lambda content: content + b"x",
            lambda content: content * 2,
            lambda content: bytes(len(content)),
        ],
        ids=["emptied", "garbage", "html", "cut", "half", "longer", "twice", "zeros"],
    )
    def test_a_damaged_file_is_a_miss_and_is_replaced(self, make, damage):
        cache = make()
        for value in ("value", 5):
            cache.set("key", value)
            path_of(cache).write_bytes(damage(path_of(cache).read_bytes()))
            assert cache.get("key") is None
            assert cache.touch("key") is False
            assert cache.delete("key") is False
            path_of(cache).write_bytes(damage(b"damaged"))
            assert cache.add("key", value) is True
            assert cache.get("key") == value

    @pytest.mark.parametrize("cut", [6, 30], ids=["no head", "half a head"])
    def test_a_checksum_makes_no_entry_of_a_part(self, make, cut):
        cache = make()
        cache.set("key", "value")
        body = path_of(cache).read_bytes()[:cut]
        path_of(cache).write_bytes(body + zlib.crc32(body).to_bytes(4, "big"))
        assert cache.get("key") is None

    def test_no_flipped_bit_is_a_wrong_counter(self, make):
        cache = make()
        cache.set("key", 1234, 60)
        content = path_of(cache).read_bytes()
        for bit in range(len(content) * 8):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            path_of(cache).write_bytes(flipped)
            assert cache.get("key") is None

    def test_the_file_of_another_key_is_a_miss(self, make):
        cache = make()
        cache.set_many({"key": 1, "other": 2})
        shutil.copy(path_of(cache, "other"), path_of(cache))
        assert cache.get_many(["key", "other"]) == {"other": 2}


class TestClocks:
    """F24: nothing lives longer than its ttl and one second, whoever sets the clock."""

    def test_a_value_lives_exactly_as_long_as_asked(self, make, clocks):
        cache = make()
        cache.set("key", "value", 10)
        clocks += 9.875
        assert cache.get("key") == "value"
        assert cache.ttl("key") == 0.125
        clocks += 0.125
        assert cache.get("key") is None
        assert cache.ttl("key") == 0

    @pytest.mark.parametrize("step", [-86400, -30, -10, -1, -0.5])
    def test_a_clock_that_is_set_back_lengthens_no_life(self, make, clocks, step):
        cache = make()
        cache.set_many({"value": "value", "counter": 1}, 60)
        clocks += 20
        clocks.set(step)
        for _ in range(100):
            found = cache.get_many(["value", "counter"])
            assert len(found) in (0, 2)
            if found:
                cache.incr("counter")
            clocks += 0.5
        assert cache.get_many(["value", "counter"]) == {}

    def test_a_short_step_back_loses_nothing(self, make, clocks):
        cache = make()
        cache.set("key", "value", 60)
        clocks += 20
        clocks.set(-10)
        assert cache.ttl("key") == 40

    def test_a_clock_that_is_set_forward_ends_a_life_early_at_worst(self, make, clocks):
        cache = make()
        cache.set("short", "value", 60)
        cache.set("long", "value", 7200)
        cache.set("endless", "value", None)
        clocks.set(3600)
        assert cache.get_many(["short", "long", "endless"]) == {"long": "value", "endless": "value"}
        cache.set("short", "new", 60)
        clocks.set(-3600)
        clocks += 60
        assert cache.get("short") is None
        assert cache.get("endless") == "value"

    def test_after_a_restart_the_wall_clock_counts(self, make, clocks, monkeypatch):
        cache = make()
        cache.set("key", "value", 60)
        monkeypatch.setattr(moment, "_boot", lambda: b"another boot...!")
        clocks.steady = 3.0
        clocks.set(59)
        assert cache.get("key") == "value"
        clocks.set(1)
        assert cache.get("key") is None

    def test_where_no_boot_is_told_the_steady_clock_is_left_out(self, make, clocks, monkeypatch, tmp_path):
        monkeypatch.setattr(moment, "_BOOT_ID", tmp_path / "missing")
        monkeypatch.setattr(moment, "_boot", moment._boot.__wrapped__)
        cache = make()
        cache.set("key", "value", 60)
        clocks.steady += 1000
        assert cache.get("key") == "value"

    def test_the_present_is_told_by_the_machine(self):
        first = moment.Moment.at(time.time())
        time.sleep(0.01)
        second = moment.Moment.at(first.wall)
        assert 0.01 <= second.since(first) < 10
        assert first.boot == second.boot
        assert len(first.boot) == 16


class TestDirectory:
    def test_it_may_vanish_and_comes_back(self, make, location):
        cache = make()
        for _ in range(3):
            cache.set("key", "value", tags=["tag"])
            assert cache.get("key") == "value"
            shutil.rmtree(location)
            assert cache.get("key") is None
            assert cache.delete("key") is False
            cache.clear()
            assert not location.exists()
        assert cache.add("key", "value") is True

    def test_whoever_waited_for_a_lock_that_was_deleted_takes_the_new_one(self, location):
        directory, part = Directory(location), location / "values" / "00"
        taken = threading.Event()

        def wait():
            with directory.locked(part, 10):
                taken.set()

        with directory.locked(part):
            waiting = threading.Thread(target=wait)
            waiting.start()
            time.sleep(0.05)
            shutil.rmtree(location)
            with directory.locked(part):
                pass
            new = directory._open_lock(part)
            filebased_lock = directory.locked(part)
            filebased_lock.__enter__()
        try:
            assert not taken.wait(0.1)
        finally:
            filebased_lock.__exit__(None, None, None)
            os.close(new)
        assert taken.wait(10)
        waiting.join()

    def test_it_may_be_given_as_text_or_as_a_path(self, tmp_path):
        FileBasedCache(tmp_path / "cache", {}).set("key", "value")
        assert FileBasedCache(f"{tmp_path}/cache", {}).get("key") == "value"

    def test_clear_leaves_what_is_no_entry(self, make, location):
        cache = make()
        cache.set("key", "value", tags=["tag"])
        others = [location / "README", location / "values" / "notes.txt", path_of(cache).with_name("x")]
        for path in others:
            path.write_text("mine")
        path_of(cache).with_name("garbage.djcache").write_text("nobody's")
        cache.clear()
        assert entries(location) == entries(location, "services") == []
        assert [path.read_text() for path in others] == ["mine"] * 3

    @pytest.mark.parametrize("prefix", ["pre", "p*", "é", "long" * 2000])
    def test_clear_reads_no_more_of_a_file_than_the_prefix(self, make, location, monkeypatch, prefix):
        sizes = []
        caches = [make({"KEY_PREFIX": each}, KEY_POLICY="django") for each in (prefix, f"{prefix}x", prefix[:-1])]
        for cache in caches:
            cache.validate_key = lambda key: None
            cache.set("key", "x" * 100_000)
        read = staticmethod(lambda path, size=-1, read=Directory.read: sizes.append(size) or read(path, size))
        monkeypatch.setattr(Directory, "read", read)
        caches[0].clear()
        assert len(sizes) == 3
        assert all(0 < size < 100 + 2 * len(prefix) for size in sizes)
        assert [cache.get("key") is None for cache in caches] == [True, False, False]

    def test_after_clear_there_is_room(self, make, listed):
        cache = make(MAX_ENTRIES=50)
        for _ in range(3):
            fill(cache, 50)
            cache.clear()
            listed.clear()
        fill(cache, 50)
        assert left(cache, 50) == list(range(50))
        assert listed == []


class TestOrphans:
    """F30: what a killed writer left behind."""

    @pytest.fixture
    def orphan(self, make):
        cache = make(MAX_ENTRIES=3)
        fill(cache, 3)
        orphan = path_of(cache, "key-0").with_name(f".tmp-{secrets.token_hex(8)}")
        orphan.write_text("half a val")
        return orphan

    def test_clear_removes_them(self, make, orphan):
        make().clear()
        assert not orphan.exists()

    def test_culling_removes_old_ones_and_leaves_a_writer_alone(self, make, orphan, monkeypatch):
        cache = make(MAX_ENTRIES=3)
        cache.set("key-3", 3)
        assert orphan.exists()
        later = time.time() + 61
        monkeypatch.setattr(file_directory.time, "time", lambda: later)
        fill(cache, 6)
        assert not orphan.exists()


class TestFailure:
    """F31, F40, R6: what could not be replaced is not served either."""

    def test_a_value_that_is_too_large_for_the_disk_leaves_no_old_one(self, make, location):
        resource = pytest.importorskip("resource")
        cache = make()
        cache.set("key", "old")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                cache.set("key", "x" * 10_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert cache.get("key") is None
        assert temporary(location) == []
        cache.set("key", "new")
        assert cache.get("key") == "new"

    @pytest.mark.parametrize("call", ["open", "replace", "utime", "fchmod", "fstat", "stat"])
    def test_whichever_call_to_the_system_fails_no_old_value_is_served(self, make, location, monkeypatch, call):
        cache, real, failed = make(ON_FAULT="miss"), getattr(os, call), 0
        for number in range(1, 20):
            cache.set("key", "old")
            calls = iter(range(1, 1000))

            def fail(*args, calls=calls, number=number, **kwargs):
                if next(calls) == number:
                    raise OSError(28, "No space left on device")
                return real(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, fail)
                failed += cache.set_many({"key": "new"}) == ["key"]
            assert cache.get("key") in (None, "new")
            assert temporary(location) == []
        assert failed

    @pytest.mark.parametrize(
        "change", [lambda cache: cache.incr("key"), lambda cache: cache.touch("key", 5)], ids=["incr", "touch"]
    )
    def test_a_change_that_failed_changed_nothing(self, make, monkeypatch, change):
        cache = make()
        cache.set("key", 5, 60)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OSError, match="No space left"):
                change(cache)
        assert cache.get("key") == 5
        assert cache.ttl("key") > 50

    def test_a_swap_of_what_changed_meanwhile_changes_nothing(self, make):
        cache = make()
        cache.set("key", 5)
        for name, expected in ((":1:key", 4), (":1:key", b"5"), (":1:missing", 5)):
            for stored in (6, None):
                assert cache._swap(name, expected, stored, 60) is False
        assert cache.get("key") == 5

    def test_of_values_of_which_one_cannot_be_stored_nothing_old_is_left(self, make, monkeypatch):
        cache, write = make(), Directory.write
        cache.set_many({"a": "old", "b": "old", "c": "old"})

        def fail(path, *args):
            if path == path_of(cache, "b"):
                raise OSError(27, "File too large")
            write(path, *args)

        with monkeypatch.context() as patch:
            patch.setattr(Directory, "write", staticmethod(fail))
            with pytest.raises(OSError, match="File too large"):
                cache.set_many({"a": "new", "b": "new", "c": "new"})
        assert "old" not in cache.get_many(["a", "b", "c"]).values()
        cache.set_many({"a": "new", "b": "new", "c": "new"})
        assert cache.get_many(["a", "b", "c"]) == {"a": "new", "b": "new", "c": "new"}

    def test_a_directory_that_vanishes_under_a_write_is_named(self, make, location, monkeypatch):
        cache = make()
        with monkeypatch.context() as patch:
            patch.setattr(file_directory, "_create_own", lambda *_: os.open(location / "gone" / "x", os.O_WRONLY))
            with pytest.raises(OSError, match=r"cache directory .*values.* vanished"):
                cache.set("key", "value")
        cache.set("key", "value")
        assert cache.get("key") == "value"
