"""The directory of a store: whose it is, and what becomes of one that is replaced, damaged or of another time."""

import gc
import os
import random
import shutil
import stat
import threading
import time
from pathlib import Path

import lmdb
import pytest
from django.core.exceptions import ImproperlyConfigured

from cacheplus.backends import lmdb_clock, lmdb_files
from cacheplus.backends.directories import UnsafeLocation
from cacheplus.backends.lmdb import LMDBCache
from cacheplus.backends.lmdb_lock import FileLock
from cacheplus.backends.lmdb_registry import stores
from tests.processes import process

PAGE = 4096
AWAY = 0.15  # seconds after which it is noticed that somebody else replaced the files

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def handle_count():
    return len(list(Path("/proc/self/fd").iterdir()))


def reopened(cache):
    """The same backend, as another process would open its store."""
    cache._store._drop()
    return cache


class TestPermissions:
    @pytest.mark.parametrize("umask", [0, 0o022, 0o777], ids=oct)
    def test_directory_and_files_are_ours_alone_under_any_umask(self, tmp_path, umask):
        before = os.umask(umask)
        try:
            cache = LMDBCache(tmp_path / "a" / "b", {})
            cache.set("key", "value")
        finally:
            os.umask(before)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")}
        assert modes == {"b": 0o700, **dict.fromkeys(("data.mdb", "lock.mdb", "state.json", "writer.lock"), 0o600)}
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
        assert reopened(cache).get("key") == "value"

    def refused(self, make, match):
        with pytest.raises(UnsafeLocation, match=match):
            make().set("key", "value")
        with pytest.raises(UnsafeLocation, match=match):
            make().get("key")
        assert make(ON_FAULT="miss").get("key", "default") == "default"

    @pytest.mark.parametrize("mode", [0o770, 0o777, 0o702])
    def test_a_directory_that_others_can_write_to_is_refused(self, make, location, mode):
        location.mkdir()
        location.chmod(mode)
        self.refused(make, f"can be written to by other users .mode 0{mode:o}")
        assert list(location.iterdir()) == []

    @as_root
    def test_a_directory_of_somebody_else_is_refused(self, make, location):
        location.mkdir(mode=0o700)
        os.chown(location, 12345, -1)
        self.refused(make, "belongs to user 12345")

    def test_a_link_is_refused(self, make, location, tmp_path):
        (tmp_path / "real").mkdir(mode=0o700)
        location.symlink_to(tmp_path / "real")
        self.refused(make, "is a symbolic link")

    def test_a_file_is_refused(self, make, location):
        location.touch()
        self.refused(make, "is no directory")

    @pytest.mark.parametrize("name", ["data.mdb", "lock.mdb"])
    def test_a_link_that_was_planted_is_not_followed(self, make, location, tmp_path, name):
        reopened(make()).set("key", "value")
        reopened(make())
        (tmp_path / name).write_bytes((location / name).read_bytes())
        (location / name).unlink()
        (location / name).symlink_to(tmp_path / name)
        before = (tmp_path / name).read_bytes()
        make().set("other", "value")
        assert make().get_many(["key", "other"]) == {"other": "value"}
        assert not (location / name).is_symlink()
        assert (tmp_path / name).read_bytes() == before

    @as_root
    def test_data_of_somebody_else_are_not_read(self, make, location):
        make().set("key", "value")
        reopened(make())
        os.chown(location / "data.mdb", 12345, -1)
        assert make().get("key") is None

    @pytest.mark.parametrize("location", [None, "", 5, ["a"]])
    def test_a_location_that_is_no_path_is_told(self, location):
        with pytest.raises(ImproperlyConfigured, match=r"LOCATION of an LMDBCache.*is no directory"):
            LMDBCache(location, {})


class TestFileSystems:
    MOUNTS = "22 1 {own} / / rw - ext4 /dev/vda rw\n23 22 {place} / {path} rw,noatime shared:1 - {kind} srv:/x rw\n"

    @pytest.fixture
    def mounted(self, monkeypatch, tmp_path):
        def mount(kind):
            device = tmp_path.stat().st_dev
            place = f"{os.major(device)}:{os.minor(device)}"
            mounts = tmp_path / "mounts"
            mounts.write_text(self.MOUNTS.format(own="0:999999", place=place, path=tmp_path, kind=kind))
            monkeypatch.setattr(lmdb_files, "_MOUNTS", mounts)

        return mount

    @pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
    def test_a_remote_one_is_refused_and_a_check_says_so(self, make, mounted, location, kind):
        mounted(kind)
        with pytest.raises(OSError, match=f"{location}.* lies on {kind}, where processes cannot share memory"):
            make().set("key", "value")
        (error,) = make().check()
        assert error.id == "cacheplus.E141"
        assert f"lies on {kind}" in error.msg

    @pytest.mark.parametrize("kind", ["ext4", "tmpfs", "overlay", "fuse.something"])
    def test_any_other_is_taken(self, make, mounted, kind):
        mounted(kind)
        make().set("key", "value")
        assert make().get("key") == "value"
        assert make().check() == []

    def test_where_nothing_is_known_nothing_is_refused(self, make, monkeypatch):
        monkeypatch.setattr(lmdb_files, "_MOUNTS", Path("/nowhere"))
        assert make().check() == []
        make().set("key", "value")


class TestSizes:
    def test_a_larger_map_is_a_new_store_that_everybody_uses(self, location):
        small = LMDBCache(location, {"OPTIONS": {"MAP_SIZE": 2**21}})
        small.set("key", "value")
        with process(LMDBCache(location, {"OPTIONS": {"MAP_SIZE": 2**22}}), LARGER) as larger:
            larger.go()
            assert larger.heard() is None
            assert small.get_many(["key", "new"]) == {"new": "value"}
            small.set("old", "value")
            larger.go()
            assert larger.heard() == "value"

    def test_a_smaller_one_takes_the_store_as_it_is(self, location):
        LMDBCache(location, {"OPTIONS": {"MAP_SIZE": 2**22}}).set("key", "value")
        with process(LMDBCache(location, {"OPTIONS": {"MAP_SIZE": 2**21}}), "tell(cache.get('key'))") as smaller:
            smaller.go()
            assert smaller.heard() == "value"

    @pytest.mark.parametrize(
        ("name", "value"), [("MAP_SIZE", 2**20 - 1), ("MAP_SIZE", "1G"), ("MAP_SIZE", 2.0**22), ("LOCK_TIMEOUT", 0)]
    )
    def test_an_option_that_cannot_be_used_is_told(self, make, name, value):
        (error,) = make(**{name: value}).check()
        assert error.id == "cacheplus.E101"
        assert name in error.msg

    def test_a_size_that_is_no_number_of_pages_is_rounded_up(self, make, location):
        make(MAP_SIZE=2**22 + 1).set("key", "value")
        assert (location / "data.mdb").stat().st_size == 2**22 + PAGE


LARGER = """
cache.set("new", "value")
tell(cache.get("key"))
sys.stdin.readline()
tell(cache.get("old"))
"""


DAMAGE = {
    "garbage in front": lambda data: (data.seek(0), data.write(random.Random(1).randbytes(3 * PAGE))),
    "text": lambda data: (data.seek(0), data.truncate(), data.write(b"<html>")),
    "nothing": lambda data: data.truncate(0),
    "cut": lambda data: data.truncate(50 * PAGE),
    "zeros": lambda data: (data.seek(0), data.write(bytes(2 * PAGE))),
}


class TestDamage:
    @pytest.fixture
    def filled(self, make):
        cache = make()
        cache.set_many({f"key-{n}": str(n) * 300 for n in range(1000)}, 1000)
        return cache

    @pytest.mark.parametrize("kind", DAMAGE)
    def test_a_damaged_file_is_started_anew(self, filled, location, kind):
        filled._store._drop()
        with (location / "data.mdb").open("r+b") as data:
            DAMAGE[kind](data)
        assert filled.get("key-1") is None
        filled.set("key", "value")
        assert filled.get("key") == "value"
        assert reopened(filled).get("key") == "value"

    @pytest.mark.parametrize("name", ["state.json", "lock.mdb", "data.mdb"])
    def test_a_store_of_which_a_part_is_gone_is_started_anew(self, filled, location, name):
        filled._store._drop()
        (location / name).unlink()
        assert filled.get("key-1") is None
        filled.set("key", "value")
        assert reopened(filled).get("key") == "value"

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 99, "map_size": 1}'])
    def test_a_state_that_cannot_be_read_is_no_state(self, filled, location, text):
        filled._store._drop()
        (location / "state.json").write_text(text)
        assert filled.get("key-1") is None
        filled.set("key", "value")
        assert reopened(filled).get("key") == "value"

    @pytest.mark.parametrize("seed", range(8))
    def test_pages_that_are_torn_while_it_is_open_cost_the_store_and_nothing_else(self, filled, location, seed):
        """No call raises, what is read is right or missing, and what is written then is there."""
        chance = random.Random(seed)
        last = filled._store._opened.env.info()["last_pgno"]
        with (location / "data.mdb").open("r+b") as data:
            for _ in range(40):
                data.seek(chance.randrange(2, last) * PAGE)
                data.write(chance.randbytes(PAGE) if seed % 2 else bytes(PAGE))
        for n in range(1000):
            assert filled.get(f"key-{n}") in (None, str(n) * 300)
        for n in range(1000):
            filled.set(f"key-{n}", "new", 1000 + n)
            assert filled.get(f"key-{n}") == "new"
        filled.clear()
        filled.set("key", "value")
        assert filled.get("key") == "value"

    def test_the_other_processes_leave_a_damaged_store_at_once(self, filled, location):
        with process(filled, LEAVE) as other:
            other.go()
            assert other.heard() == "1" * 300
            reopen_anew(filled)
            filled.set("key-1", "new")
            other.go()
            assert other.heard() == "new"

    def test_a_killed_start_is_started_again(self, make, location):
        """Between the files and the note that they are complete."""
        files = lmdb_files.Files(location)
        files.prepare()
        files.lay_out()
        lmdb.open(str(location), map_size=2**22, writemap=True, max_dbs=3).close()
        make().set("key", "value")
        assert make().get("key") == "value"


LEAVE = """
cache.get("key-1")
tell(cache.get("key-1"))
sys.stdin.readline()
tell(cache.get("key-1"))
"""


def reopen_anew(cache):
    with cache._store._alone(cache._limits) as opened:
        cache._store._reopen(opened, anew=True)


class TestReplaced:
    """By somebody else, without a word."""

    @pytest.mark.parametrize(
        "replace", [shutil.rmtree, lambda path: path.rename(path.with_name("old"))], ids=["deleted", "moved"]
    )
    def test_a_directory_that_goes_comes_back(self, cache, location, replace):
        cache.set("key", "value")
        replace(location)
        time.sleep(AWAY)
        assert cache.get("key") is None
        cache.set("key", "new")
        assert cache.get("key") == "new"
        assert (location / "data.mdb").exists()

    @pytest.mark.parametrize("first", ["read", "write"])
    def test_a_directory_that_another_process_made_anew_is_noticed(self, cache, location, first):
        cache.set("key", "old")
        shutil.rmtree(location)
        with process(
            cache, "cache.set('key', 'new'); tell('set'); sys.stdin.readline(); tell(cache.get('ours'))"
        ) as other:
            other.go()
            assert other.heard() == "set"
            time.sleep(AWAY)
            if first == "read":
                assert cache.get("key") == "new"
            cache.set("ours", "value")
            assert cache.get("key") == "new"
            other.go()
            assert other.heard() == "value"

    def test_a_lock_that_was_replaced_while_somebody_waited_for_it_is_not_believed(self, cache):
        cache._store.files.prepare()
        held = FileLock(cache._store.files.lock)
        held.acquire(time.monotonic(), lambda: None)
        waiting = threading.Thread(target=cache.set, args=("key", "value"))
        waiting.start()
        time.sleep(0.05)
        cache._store.files.lock.unlink()
        held.close()
        waiting.join()
        assert cache._store._opened.lock.is_in_place()
        assert cache.get("key") == "value"

    def test_a_lock_file_that_goes_alone_does_no_harm(self, cache, location):
        cache.set("key", "value")
        (location / "writer.lock").unlink()
        assert reopened(cache).get("key") == "value"
        cache.set("key", "x" * 500_000)
        assert cache.get("key") == "x" * 500_000


class Times:
    """`time`, for a wall clock that can be set and a steady one that cannot; both stand still."""

    def __init__(self):
        self.wall, self.steady = 1_800_000_000.0, 5_000.0

    def time(self):
        return self.wall

    def time_ns(self):
        return int(self.wall * 1e9)

    def clock_gettime_ns(self, _clock):
        return int(self.steady * 1e9)

    def pass_by(self, seconds):
        self.wall += seconds
        self.steady += seconds


class TestClock:
    @pytest.fixture
    def times(self, monkeypatch):
        times = Times()
        monkeypatch.setattr(lmdb_clock, "time", times)
        monkeypatch.setattr(lmdb_files, "time", times)
        monkeypatch.setattr(lmdb_clock, "boot_id", lambda: "first")
        monkeypatch.setattr(lmdb_files, "boot_id", lambda: "first")
        return times

    @pytest.fixture
    def restart(self, monkeypatch, times, cache, location):
        """The machine goes down for some seconds; `wall` is what its clock then shows in excess."""

        def restart(seconds, wall=0):
            os.utime(location / "data.mdb", (times.wall, times.wall))
            cache._store._drop()
            times.steady = 3.0
            times.wall += seconds + wall
            for module in (lmdb_clock, lmdb_files):
                monkeypatch.setattr(module, "boot_id", lambda: "second")

        return restart

    @pytest.mark.parametrize("step", [-86_400, -30, 3600, 86_400])
    def test_a_step_of_the_wall_clock_changes_nothing(self, times, cache, step):
        """F24."""
        cache.set("key", "value", 60)
        times.pass_by(30)
        times.wall += step
        assert cache.ttl("key") == 30
        assert reopened(cache).ttl("key") == 30
        times.pass_by(29)
        assert cache.get("key") == "value"
        times.pass_by(1)
        assert cache.get("key") is None

    def test_time_goes_on_while_the_machine_is_down(self, times, cache, restart):
        cache.set_many({"short": 1, "long": 2}, 60)
        cache.set("long", 2, 1000)
        cache.set("ever", 3, None)
        restart(100)
        assert cache.get_many(["short", "long", "ever"]) == {"long": 2, "ever": 3}
        assert cache.ttl("long") == pytest.approx(900)
        cache.set("new", 4, 50)
        times.pass_by(49)
        assert cache.get("new") == 4
        assert reopened(cache).get("new") == 4

    def test_a_wall_clock_that_went_back_meanwhile_costs_the_store(self, cache, restart):
        cache.set("key", "value", 60)
        restart(100, wall=-3600)
        assert cache.get("key") is None
        cache.set("key", "new")
        assert cache.get("key") == "new"

    @pytest.mark.parametrize("tear", [bytes(PAGE), random.Random(2).randbytes(PAGE)], ids=["lost", "torn"])
    def test_what_a_crash_of_the_machine_tore_is_started_anew(self, cache, location, restart, tear):
        """Though no read would meet the page: it is of the index."""
        data = {f"key-{n}": "x" * 300 for n in range(1000)}
        cache.set_many(data, 1000)
        restart(10)
        with (location / "data.mdb").open("r+b") as file:
            pages = file.read()
            counts = [pages[at : at + PAGE].count(b":1:key-") for at in range(0, len(pages), PAGE)]
            assert max(counts) > 50
            file.seek(counts.index(max(counts)) * PAGE)
            file.write(tear)
        os.utime(location / "data.mdb", (0, 0))
        assert cache.get_many(data) == {}

    def test_what_an_orderly_restart_of_the_machine_left_is_kept(self, cache, restart):
        data = {f"key-{n}": "x" * 300 for n in range(1000)}
        cache.set_many(data, 1000)
        restart(10)
        assert cache.get_many(data) == data

    def test_without_a_boot_id_the_wall_clock_counts(self, times, cache, monkeypatch):
        for module in (lmdb_clock, lmdb_files):
            monkeypatch.setattr(module, "boot_id", lambda: "")
        cache.set("key", "value", 60)
        times.wall += 59
        assert reopened(cache).get("key") == "value"
        times.wall += 1
        assert cache.get("key") is None

    def test_the_boot_id_is_read_where_there_is_one(self, monkeypatch):
        known = lmdb_clock.boot_id()
        assert known == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        monkeypatch.setattr(lmdb_clock, "_BOOT_ID", Path("/nowhere"))
        assert lmdb_clock.boot_id() == ""


class TestRegistry:
    def test_a_store_is_one_by_whatever_path(self, tmp_path, location, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "link").symlink_to(tmp_path)
        paths = [location, str(location), "cache", "./x/../cache", tmp_path / "link" / "cache"]
        assert len({id(stores.store_at(path)) for path in paths}) == 1

    def test_stores_that_nobody_uses_are_closed(self, tmp_path):
        handles = []
        for n in range(60):
            cache = LMDBCache(tmp_path / str(n), {})
            cache.set("key", n)
            assert cache.get("key") == n
            gc.collect()
            handles.append(handle_count())
        assert handles[29] == handles[-1]

    def test_a_store_outlives_its_backends(self, location):
        """Each request of an ASGI site has a backend of its own."""
        LMDBCache(location, {}).set("key", "value")
        assert stores.store_at(location).is_open
