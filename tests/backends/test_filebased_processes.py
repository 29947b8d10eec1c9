"""The file store between processes: one winner, nothing lost, nobody waits for long."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from cacheplus.backends.filebased import FileBasedCache
from tests.processes import process, together

HOLD = """
with cache._directory.locked(cache._path(":1:key").parent):
    tell("held")
    time.sleep(60)
"""


@pytest.fixture
def make(tmp_path):
    return lambda **options: FileBasedCache(tmp_path / "cache", {"OPTIONS": {"MAX_ENTRIES": 10_000, **options}})


def entries(cache):
    return list(Path(cache._dir, "values").rglob("*.djcache"))


def in_part_of(cache, key):
    """Another key that lies in the same part as `key`."""
    part = cache._path(f":1:{key}").parent
    return next(f"other-{n}" for n in range(100_000) if cache._path(f":1:other-{n}").parent == part)


class TestTogether:
    def test_add_has_one_winner(self, make):
        won = together(
            make(), "tell([n for n in range(150) if surely(cache.add, f'key-{n}', arguments[0], 60)])", range(4)
        )
        assert sorted(number for numbers in won for number in numbers) == list(range(150))
        for process_number, numbers in enumerate(won):
            assert set(make().get_many([f"key-{n}" for n in numbers]).values()) <= {process_number}

    def test_no_increment_is_lost_and_the_end_stays(self, make):
        cache = make()
        cache.set("key", 0, 1000)
        told = together(cache, "tell([surely(cache.incr, 'key') for _ in range(100)])", range(4))
        assert sorted(number for numbers in told for number in numbers) == list(range(1, 401))
        assert cache.get("key") == 400
        assert 900 < cache.ttl("key") <= 1000

    def test_neither_is_disturbed_by_culling(self, make):
        """F16: what is evicted there are the values that end sooner."""
        cache = make(MAX_ENTRIES=100)
        cache.set("counter", 0, 100_000)
        code = """
        won = []
        for n in range(100):
            surely(cache.set, f"filler-{arguments[0]}-{n}", n, 10)
            surely(cache.incr, "counter")
            if n % 4 == 0 and surely(cache.add, f"lock-{n}", 1, 50_000):
                won.append(n)
        tell(won)
        """
        won = together(cache, code, range(4))
        assert sorted(number for numbers in won for number in numbers) == list(range(0, 100, 4))
        assert cache.get("counter") == 400
        assert len(entries(cache)) <= 100

    def test_the_limit_holds_for_all_of_them(self, make):
        cache = make(MAX_ENTRIES=60)
        together(cache, "tell([surely(cache.set, f'key-{arguments[0]}-{n}', n) for n in range(50)])", range(4))
        assert 30 <= len(entries(cache)) <= 60

    def test_no_reader_sees_half_a_value(self, make):
        """F22: 3 MB, written anew and touched all the time."""
        cache = make()
        cache.set("key", "a" * 3_000_000)
        code = """
        for n in range(10_000):
            if n % 3:
                cache.set("key", "ab"[n % 2] * 3_000_000)
            else:
                cache.touch("key", 1000 + n)
        """
        with process(cache, code) as writer:
            writer.go()
            seen = set()
            for _ in range(200):
                value = cache.get("key")
                assert len(value) == 3_000_000
                assert value == value[0] * 3_000_000
                seen.add(value[0])
            assert writer.popen.poll() is None
        assert seen == {"a", "b"}

    def test_a_directory_that_is_deleted_meanwhile_is_a_fault_at_worst(self, make):
        cache = make(ON_FAULT="miss")
        code = """
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            cache.set("key", "value")
            assert cache.get("key") in (None, "value")
        tell("done")
        """
        with process(cache, code) as worker:
            worker.go()
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                shutil.rmtree(cache._dir, ignore_errors=True)
            assert worker.heard() == "done"
        cache.set("key", "value")
        assert cache.get("key") == "value"


class TestKilled:
    def test_what_a_killed_writer_leaves_is_whole_or_goes(self, make):
        """F30."""
        cache = make()
        code = """
        while True:
            for n in range(4):
                cache.set(f"key-{n}", str(n) * 4_000_000)
        """
        for number in range(1, 5):
            with process(cache, code) as writer:
                writer.go()
                stop_in_mid_write(writer, cache, number)
            for n in range(4):
                assert cache.get(f"key-{n}") in (None, str(n) * 4_000_000)
        assert len(temporary(cache)) == 4
        assert cache.set_many({f"key-{n}": "new" for n in range(4)}) == []
        cache.clear()
        assert temporary(cache) == []


def temporary(cache):
    return list(Path(cache._dir).rglob(".tmp-*"))


def stop_in_mid_write(writer, cache, number):
    """Stop the writer at a moment when its file makes them `number`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if len(temporary(cache)) == number:
            writer.popen.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, writer.popen.pid, os.WSTOPPED)
            if len(temporary(cache)) == number:
                return
            writer.popen.send_signal(signal.SIGCONT)
    pytest.fail("no file was being written in 30 seconds")


class TestStopped:
    @pytest.fixture
    def cache(self, make):
        cache = make()
        cache.set_many({"key": "old", "counter": 1})
        return cache

    @pytest.fixture
    def stopped(self, cache):
        """A process that was stopped while it had the lock of the part of "key"."""
        with process(cache, HOLD) as holder:
            holder.go()
            assert holder.heard() == "held"
            holder.popen.send_signal(signal.SIGSTOP)
            yield holder

    @pytest.mark.parametrize(
        "call",
        [
            lambda cache: cache.set("key", "new"),
            lambda cache: cache.add("key", "new"),
            lambda cache: cache.touch("key", 5),
            lambda cache: cache.delete("key"),
            lambda cache: cache._swap(":1:key", b"", None, None),
            lambda cache: cache._increment(":1:key", 1),
            lambda cache: cache.clear(),
        ],
        ids=["set", "add", "touch", "delete", "swap", "incr", "clear"],
    )
    def test_a_write_gives_up_after_half_a_second(self, cache, stopped, call):
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"Another process has been writing to .*/values/\w\w"):
            call(cache)
        assert 0.4 < time.monotonic() - start < 4

    def test_a_site_may_say_how_long(self, make, stopped):
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            make(LOCK_TIMEOUT=1.5).set("key", "new")
        assert time.monotonic() - start > 1.4

    def test_a_call_about_many_keys_waits_once(self, cache, stopped):
        keys = ["key", in_part_of(cache, "key"), "counter", "free"]
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            cache.set_many(dict.fromkeys(keys, "new"))
        with pytest.raises(TimeoutError):
            cache.clear()
        assert time.monotonic() - start < 6
        assert cache.get_many(keys) == {}

    def test_many_writes_wait_only_once(self, make, stopped):
        """F3: a page of forty fragments is late by one wait and not by forty, whichever thread stores it."""
        start = time.monotonic()
        for _ in range(40):
            assert make(ON_FAULT="miss").add("key", "new") is False
        assert 0.4 < time.monotonic() - start < 4

    def test_what_could_not_be_replaced_or_deleted_is_not_served(self, cache, stopped):
        other = in_part_of(cache, "key")
        shutil.copy(cache._path(":1:key"), cache._path(f":1:{other}"))
        with pytest.raises(TimeoutError):
            cache.set("key", "new")
        assert cache.get("key") is None
        with pytest.raises(TimeoutError):
            cache.delete(other)
        assert not cache._path(f":1:{other}").exists()

    def test_nobody_else_waits(self, cache, stopped):
        start = time.monotonic()
        assert cache.get_many(["key", "counter"]) == {"key": "old", "counter": 1}
        assert cache.incr("counter") == 2
        assert cache.delete("missing") is False
        assert cache.ttl("key") > 0
        assert time.monotonic() - start < 0.4

    def test_making_room_passes_by_the_stopped_part(self, cache, stopped, make):
        small = make(MAX_ENTRIES=3)
        cache._rooms["values"].recount(3)
        keys = [f"new-{n}" for n in range(5)]
        start = time.monotonic()
        for key in keys:
            if cache._path(f":1:{key}").parent != cache._path(":1:key").parent:
                small.set(key, "value", 1000)
        assert time.monotonic() - start < 0.5 * len(keys)
        assert cache.get("key") == "old"

    def test_once_it_is_gone_all_goes_on(self, cache, stopped):
        with pytest.raises(TimeoutError):
            cache.touch("key", 5)
        stopped.popen.kill()
        stopped.popen.wait()
        cache.set("key", "new")
        assert cache.get("key") == "new"


def test_a_child_that_was_forked_under_a_lock_does_not_keep_it(make):
    cache = make()
    code = """
    with cache._directory.locked(cache._path(":1:key").parent):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    tell(child)
    sys.stdin.readline()
    os.kill(child, 9)
    tell(os.waitpid(child, 0)[0])
    """
    with process(cache, code) as parent:
        parent.go()
        child = parent.heard()
        try:
            cache.set("key", "value")
        finally:
            parent.go()
            assert parent.heard() == child
    assert cache.get("key") == "value"
