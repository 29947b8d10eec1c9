"""The database store beside others who write: nothing is lost, and nobody waits for what may as well be left undone."""

import random
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction
from django.utils import timezone

from cacheplus.backends.db import DatabaseCache
from cacheplus.backends.db_table import CacheTable
from cacheplus.testing.calls import at_once
from tests.cache_tables import cache_table, sqlite
from tests.databases import connected

NEVER_CULL = {"OPTIONS": {"CULL_PROBABILITY": 0}}


@pytest.fixture
def cache(database):
    with cache_table(database) as table:
        yield DatabaseCache(table, NEVER_CULL)


def expire(cache, *keys):
    """Put the expiry of keys into the past."""
    table = cache._leader
    past = table.connection.ops.adapt_datetimefield_value(timezone.now().replace(year=2020))
    for key in keys:
        table.execute(table.statements.touch(f":1:{key}", past, past))


@contextmanager
def in_another_thread(alias, work):
    """Keep a transaction open elsewhere, in which `work` was done."""
    started, finish = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic(using=alias):
            work()
            started.set()
            finish.wait(30)

    thread = threading.Thread(target=at_once, args=[[hold]])
    thread.start()
    try:
        assert started.wait(30)
        yield finish
    finally:
        finish.set()
        thread.join()


def lock_row(cache, key):
    """Change a row in the transaction of this thread, without a difference."""
    table = cache._leader
    name = table.connection.ops.quote_name
    with table.connection.cursor() as cursor:
        sql = f"UPDATE {name(table.name)} SET {name('value')} = {name('value')} WHERE {name('cache_key')} = %s"
        cursor.execute(sql, [f":1:{key}"])


def another(cache, **options):
    return DatabaseCache(cache._table, {"OPTIONS": {**NEVER_CULL["OPTIONS"], **options}})


class TestWaiting:
    """F18: what a call does while somebody else holds a lock."""

    def test_an_expired_row_that_is_locked_is_a_miss_at_once(self, cache, database):
        cache.set("key", "value", 60)
        expire(cache, "key")
        with in_another_thread(database.alias, lambda: lock_row(another(cache), "key")):
            start = time.monotonic()
            assert cache.get("key") is None
            assert time.monotonic() - start < 0.5
        with database.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {database.ops.quote_name(cache._table)}")
            assert cursor.fetchone() == (1,)

    @pytest.mark.parametrize(
        "call",
        [
            lambda cache: cache.set("key", "new", 60),
            lambda cache: cache.set_many({"key": "new", "other": "new"}, 60),
            lambda cache: cache.touch("key", 60),
            lambda cache: cache.delete("key"),
            lambda cache: cache.incr("number"),
            lambda cache: cache._swap(":1:number", 1, 2, 60),
            lambda cache: cache.clear(),
        ],
        ids=["set", "set_many", "touch", "delete", "incr", "swap", "clear"],
    )
    @pytest.mark.parametrize("is_inside", [False, True], ids=["alone", "in a transaction"])
    def test_a_row_that_is_locked_is_waited_for_half_a_second(self, cache, database, call, is_inside):
        """And what follows in the transaction waits as long as ever."""
        cache.set_many({"key": "old", "number": 1}, 60)

        def work():
            lock_row(another(cache), "key")
            lock_row(another(cache), "number")

        with in_another_thread(database.alias, work) as finish:
            with transaction.atomic(using=database.alias) if is_inside else nullcontext():
                start = time.monotonic()
                with pytest.raises(DatabaseError):
                    call(cache)
                took = time.monotonic() - start
                if is_inside and database.vendor != "sqlite":
                    threading.Timer(1.0, finish.set).start()
                    lock_row(cache, "key")
                    assert time.monotonic() - start - took > 0.8
            assert took < 4
            # A transaction of SQLite that has read cannot write any more once somebody else does: it is told at once.
            assert took > 0.3 or (is_inside and database.vendor == "sqlite")
        call(cache)

    @pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
    def test_a_key_that_somebody_is_about_to_store_is_waited_for_as_long(self, cache, database):
        patient = another(cache, ON_FAULT="miss")
        with in_another_thread(database.alias, lambda: another(cache).set("key", "theirs", 60)):
            start = time.monotonic()
            assert patient.add("key", "ours", 60) is False
            assert patient.set_many({"key": "ours"}, 60) == ["key"]
            assert patient.get("key") is None
            assert time.monotonic() - start < 5
        assert cache.get("key") == "theirs"

    @pytest.mark.parametrize("is_inside", [False, True], ids=["alone", "in a transaction"])
    def test_many_writes_wait_only_once(self, cache, database, is_inside):
        """F3: a page of forty fragments is late by one wait and not by forty."""
        patient = another(cache, ON_FAULT="miss")
        cache.set("key", "old", 60)
        with (
            in_another_thread(database.alias, lambda: lock_row(another(cache), "key")),
            transaction.atomic(using=database.alias) if is_inside else nullcontext(),
        ):
            start = time.monotonic()
            for _ in range(40):
                assert patient.touch("key", 60) is False
            assert time.monotonic() - start < 5
        assert patient.touch("key", 60) is True

    @pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
    def test_transactions_that_cross_do_not_stop_one_another(self, cache, database):
        """F18: four threads, two keys in any order, as many transactions as a busy machine can do in four seconds."""
        end = time.monotonic() + 4

        def work(seed):
            chance, own, done = random.Random(seed), another(cache, ON_FAULT="miss"), 0
            while time.monotonic() < end:
                with transaction.atomic(using=database.alias):
                    for key in chance.sample(["a", "b"], 2):
                        own.set(key, done, 60)
                done += 1
            return done

        assert min(at_once([partial(work, seed) for seed in range(4)])) > 3

    @pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
    def test_a_site_may_say_how_long(self, cache, database):
        hurried = another(cache, LOCK_TIMEOUT=0.02, ON_FAULT="miss")
        cache.set("key", "old", 60)
        with in_another_thread(database.alias, lambda: lock_row(another(cache), "key")):
            start = time.monotonic()
            for _ in range(10):
                assert hurried.touch("key", 60) is False
            assert time.monotonic() - start < 3

    @pytest.mark.parametrize("database", ["postgres"], indirect=True)
    @pytest.mark.parametrize("is_inside", [False, True], ids=["alone", "in a transaction"])
    def test_the_patience_of_the_connection_is_left_as_it_was(self, cache, database, is_inside):
        def patience():
            with database.cursor() as cursor:
                cursor.execute("SELECT current_setting('lock_timeout')")
                return cursor.fetchone()[0]

        with database.cursor() as cursor:
            cursor.execute("SET lock_timeout = '7s'")
        with transaction.atomic(using=database.alias) if is_inside else nullcontext():
            cache.set("key", 1, 60)
            assert patience() == "7s"
            cache.incr("key")
            cache.add("key", 1, 60)
            cache.delete_many(["key", "other"])
            assert patience() == "7s"
        assert patience() == "7s"

    @pytest.mark.parametrize("database", ["sqlite"], indirect=True)
    def test_the_patience_of_sqlite_is_left_as_it_was(self, cache, database):
        database.ensure_connection()
        patience = database.connection.execute("PRAGMA busy_timeout").fetchone()
        cache.set("key", "value", 60)
        expire(cache, "key")
        assert cache.get("key") is None
        with transaction.atomic(using=database.alias):
            cache.set("key", "value", 60)
        assert database.connection.execute("PRAGMA busy_timeout").fetchone() == patience

    @pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
    def test_culling_passes_by_what_is_locked(self, cache, database):
        full = another(cache, MAX_ENTRIES=5, CULL_FREQUENCY=2, CULL_PROBABILITY=1)
        for number in range(6):
            cache.set(f"key-{number}", number, 100 + number)
        with in_another_thread(database.alias, lambda: lock_row(another(cache), "key-0")):
            start = time.monotonic()
            full.set("new", "value", 1000)
            assert time.monotonic() - start < 0.5
        left = cache.get_many([*(f"key-{number}" for number in range(6)), "new"])
        assert set(left) == {"key-0", "key-4", "key-5", "new"}

    @pytest.mark.parametrize("database", ["postgres"], indirect=True)
    def test_the_victim_of_a_deadlock_tries_again(self, cache, database):
        cache.set_many({"a": 0, "b": 0}, 60)

        def cross(done):
            """Lock b; then, when somebody who has locked a waits for it, ask for a."""
            other = another(cache)
            with transaction.atomic(using=database.alias):
                lock_row(other, "b")
                locked.set()
                time.sleep(0.2)
                lock_row(other, "a")
                done.set()

        locked, done = threading.Event(), threading.Event()
        thread = threading.Thread(target=at_once, args=[[partial(cross, done)]])
        thread.start()
        assert locked.wait(10)
        assert cache.set_many({"a": 1, "b": 1}, 60) == []
        thread.join()
        assert done.is_set()
        assert cache.get_many(["a", "b"]) == {"a": 1, "b": 1}


@pytest.mark.parametrize("database", ["postgres", "mariadb"], indirect=True)
class TestUncommittedStamps:
    """A transaction that makes a stamp shows it to others when it commits, be the tag expired meanwhile or not."""

    def test_an_expiry_catches_what_is_stored_in_an_open_transaction(self, cache, database):
        cache.set("fence", "there is one", 60, tags=["unrelated"])
        with in_another_thread(
            database.alias, lambda: another(cache).set("key", "stale", 60, tags=["tag", "other"])
        ) as finish:
            threading.Timer(0.2, finish.set).start()
            assert cache.expire_tags("tag") == 1
        assert cache.get("key") is None

    def test_an_expiry_in_a_transaction_lets_others_make_stamps(self, cache, database):
        cache.set("fence", "there is one", 60, tags=["unrelated"])
        with in_another_thread(database.alias, lambda: another(cache).expire_tags("tag")):
            start = time.monotonic()
            cache.set("key", "value", 60, tags=["tag"])
            assert time.monotonic() - start < 0.5
        assert cache.get("key") == "value"

    def test_nothing_is_left_behind(self, cache, database):
        cache.expire_tags("a", "b", "c")
        with database.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {database.ops.quote_name(cache._table)}")
            assert cursor.fetchone() == (1,)


class TestSQLite:
    """F17: several writers on one file, whatever its journal and however little patience the site has."""

    @pytest.fixture(params=["DELETE", "WAL"])
    def database(self, request, tmp_path, django_db_blocker):
        alias, dsn = f"impatient-{request.param}-{tmp_path.name}", sqlite(tmp_path / "cache.sqlite3", timeout=0.1)
        with django_db_blocker.unblock(), connected(alias, dsn) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA journal_mode = {request.param}")
            yield connection

    def test_four_writers_lose_nothing(self, cache):
        def work(number):
            own = another(cache)
            for turn in range(40):
                own.set(f"own-{number}", turn, 60)
                assert own.get(f"own-{number}") == turn
                own.incr("shared")
            return [own.add(f"lock-{turn}", number, 60) for turn in range(40)]

        cache.set("shared", 0, 60)
        won = at_once([partial(work, number) for number in range(4)])
        assert cache.get("shared") == 160
        assert [sum(winners) for winners in zip(*won, strict=True)] == [1] * 40

    def test_a_short_lock_is_waited_for(self, cache, database):
        cache.set("key", "old", 60)
        with in_another_thread(database.alias, lambda: lock_row(another(cache), "key")) as finish:
            threading.Timer(0.2, finish.set).start()
            cache.set("key", "new", 60)
        assert cache.get("key") == "new"

    def test_a_long_one_is_a_fault_after_half_a_second(self, cache, database):
        patient = another(cache, ON_FAULT="miss")
        with in_another_thread(database.alias, lambda: another(cache).set("key", "value", 60)):
            start = time.monotonic()
            with pytest.raises(OperationalError, match="locked"):
                cache.set("other", "value", 60)
            assert patient.add("other", "value", 60) is False
            assert time.monotonic() - start < 4
        assert cache.get("key") == "value"

    @pytest.mark.parametrize("database", ["WAL"], indirect=True)
    def test_in_a_transaction_that_has_read_the_write_fails_and_the_rest_goes_on(self, cache, database):
        """SQLite cannot let it write once somebody else has; it is told at once, not lost in silence."""
        with transaction.atomic(using=database.alias):
            assert cache.get("key") is None
            with in_another_thread(database.alias, lambda: another(cache).set("key", "theirs", 60)):
                with pytest.raises(DatabaseError, match="locked"):
                    cache.set("key", "ours", 60)
                assert cache.get("key") is None


class TestSnapshots:
    """A transaction above READ COMMITTED does not see what was expired since it began."""

    @pytest.fixture(params=["postgres", "mariadb"])
    def database(self, request, django_db_blocker):
        dsn = dict(request.getfixturevalue(f"{request.param}_server").dsn)
        level = {"postgres": 3, "mariadb": "repeatable read"}[request.param]
        dsn["OPTIONS"] = {**dsn.get("OPTIONS", {}), "isolation_level": level}
        with django_db_blocker.unblock(), connected(f"{request.param}-snapshots", dsn) as connection:
            yield connection

    def compute_beside_an_expiry(self, cache, database):
        """What is stored by a computation whose tag, new to the cache, is expired meanwhile by somebody else."""
        cache.set("fence", "there is one", 60, tags=["unrelated"])

        def compute():
            at_once([lambda: another(cache).expire_tags("late")])
            return "stale"

        with transaction.atomic(using=database.alias):
            # The first statement is what takes the snapshot.
            cache.get("anything")
            assert cache.get_or_set("key", compute, 60, tags=["late"]) == "stale"
        return cache.get("key")

    def test_stamps_are_not_believed_there(self, cache, database):
        assert self.compute_beside_an_expiry(cache, database) is None

    def test_that_is_why_nothing_stale_is_stored(self, cache, database, monkeypatch):
        """The test above can fail."""
        monkeypatch.setattr(CacheTable, "reads_snapshot", False)
        assert self.compute_beside_an_expiry(cache, database) == "stale"

    def test_a_tag_locks_nothing_that_others_need(self, cache, database):
        """Or else whoever expires anything would wait for this transaction."""
        cache.set("tagged", "value", 60, tags=["tag"])
        with transaction.atomic(using=database.alias):
            cache.get_or_set("key", "value", 60, tags=["tag"])
            start = time.monotonic()
            at_once([lambda: another(cache).expire_tags("tag", "other")])
            assert time.monotonic() - start < 0.5

    def test_plain_values_can_be_read_and_written_there(self, cache, database):
        cache.set("tagged", "value", 60, tags=["tag"])
        with transaction.atomic(using=database.alias):
            cache.set("key", "value", 60)
            assert cache.get("key") == "value"
            assert cache.add("number", 1, 60) is True
            assert cache.incr("number") == 2
            assert cache.get("tagged") is None
        assert cache.get_many(["key", "number", "tagged"]) == {"key": "value", "number": 2, "tagged": "value"}


class TestReplica:
    """Values may be read from a replica, stamps and locks never."""

    @pytest.fixture
    def pair(self, tmp_path, django_db_blocker):
        names = [f"{role}-{tmp_path.name}" for role in ("leader", "replica")]
        files = [sqlite(tmp_path / name) for name in names]
        with (
            django_db_blocker.unblock(),
            connected(names[0], files[0]) as leader,
            connected(names[1], files[1]) as replica,
            cache_table(leader, replica) as table,
        ):
            yield DatabaseCache(table, NEVER_CULL), leader, replica

    @staticmethod
    def copy(leader, replica):
        """Replicate, as it were."""
        leader.connection.backup(replica.connection)

    def test_values_are_written_to_the_leader_and_read_from_the_replica(self, pair):
        cache, leader, replica = pair
        cache.set("key", "value", 60)
        assert cache.get("key") is None
        replica.ensure_connection()
        self.copy(leader, replica)
        assert cache.get("key") == "value"

    def test_a_tag_that_was_expired_is_expired_however_far_the_replica_is_behind(self, pair):
        cache, leader, replica = pair
        cache.set("key", "value", 60, tags=["tag"])
        replica.ensure_connection()
        self.copy(leader, replica)
        assert cache.get("key") == "value"
        cache.expire_tags("tag")
        assert cache.get("key") is None

    def test_locks_and_counters_are_the_leaders(self, pair):
        cache, _, _ = pair
        with cache.lock("job"):
            assert cache.add("count", 1, 60) is True
            assert cache.incr("count") == 2
        with cache.lock("job"):
            pass

    def test_what_has_expired_there_is_not_deleted_there(self, pair):
        cache, leader, replica = pair
        cache.set("key", "value", 60)
        expire(cache, "key")
        replica.ensure_connection()
        self.copy(leader, replica)
        assert cache.get("key") is None
        with connections[replica.alias].cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {replica.ops.quote_name(cache._table)}")
            assert cursor.fetchone() == (1,)
