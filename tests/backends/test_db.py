"""What is peculiar to the database store. Each test runs on SQLite, PostgreSQL and MariaDB unless it says otherwise."""

import time
from datetime import timedelta
from unittest import mock

import pytest
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.cache.backends.db import DatabaseCache as DjangosCache
from django.db import DatabaseError, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cacheplus.backends.db import DatabaseCache
from cacheplus.store import SERVICE_MARK
from tests.cache_tables import TABLE, cache_table, routed

NEVER_CULL = {"OPTIONS": {"CULL_PROBABILITY": 0}}


@pytest.fixture
def table(database):
    with cache_table(database) as table:
        yield table


@pytest.fixture
def build(table):
    """Makes backends on the table."""
    return lambda **params: DatabaseCache(table, {**NEVER_CULL, **params})


@pytest.fixture
def cache(build):
    return build()


@pytest.fixture
def sql(database):
    """Runs SQL in which {table} and the names of columns are quoted; returns the rows."""
    names = {name: database.ops.quote_name(name) for name in ("cache_key", "value", "expires")}
    names["table"] = database.ops.quote_name(TABLE)

    def run(text, *params):
        with database.cursor() as cursor:
            cursor.execute(text.format(**names), params)
            return list(cursor.fetchall()) if cursor.description else []

    return run


@pytest.fixture
def keys(sql):
    """What is in the key column."""
    return lambda: {key for (key,) in sql("SELECT {cache_key} FROM {table}")}


@pytest.fixture
def expire(sql, database):
    """Puts the expiry of a key into the past, where nobody has swept yet."""

    def expire(*names):
        past = database.ops.adapt_datetimefield_value(timezone.now() - timedelta(seconds=1))
        for name in names:
            sql("UPDATE {table} SET {expires} = %s WHERE {cache_key} = %s", past, name)

    return expire


def statements(connection, call):
    """The SQL that a call runs."""
    with CaptureQueriesContext(connection) as queries:
        call()
    return [query["sql"] for query in queries]


class TestStatements:
    """How often the database is asked."""

    @pytest.mark.parametrize(
        ("count", "call"),
        [
            (1, lambda cache: cache.get("a")),
            (1, lambda cache: cache.get("absent")),
            (1, lambda cache: cache.get_many([*"abcdefgh"])),
            (1, lambda cache: cache.has_key("a")),
            (1, lambda cache: cache.set("a", "x" * 50_000, 60)),
            (1, lambda cache: cache.set("a", 1, None)),
            (1, lambda cache: cache.set_many({f"key-{number}": number for number in range(100)})),
            (1, lambda cache: cache.delete("a")),
            (1, lambda cache: cache.delete("absent")),
            (1, lambda cache: cache.delete_many([*"abcdefgh"])),
            (2, lambda cache: cache.incr("a")),
            (2, lambda cache: cache.touch("a", 60)),
            (2, lambda cache: cache.ttl("a")),
            (1, lambda cache: cache.clear()),
        ],
    )
    def test_a_call_takes_as_few_as_it_can(self, cache, database, count, call):
        cache.set_many(dict.fromkeys("abcdefgh", 1), 60)
        assert len(statements(database, lambda: call(cache))) == count

    def test_add_takes_one_where_the_database_can_tell_what_it_did(self, cache, database):
        assert len(statements(database, lambda: cache.add("new", 1))) == (2 if database.vendor == "mysql" else 1)

    def test_long_lists_go_in_chunks(self, cache, database):
        data = {f"key-{number}": number for number in range(7000)}
        assert cache.set_many(data, 60) == []
        assert cache.get_many(data) == data
        assert len(statements(database, lambda: cache.delete_many(data))) <= 10
        assert cache.get_many(data) == {}

    def test_large_values_go_one_by_one(self, cache, database):
        data = {f"key-{number}": "x" * 700_000 for number in range(4)}
        assert len(statements(database, lambda: cache.set_many(data, 60))) == 4
        assert cache.get_many(data) == data

    @pytest.mark.parametrize("database", ["mariadb"], indirect=True)
    def test_a_value_that_is_too_large_for_the_server_costs_neither_the_connection_nor_its_neighbours(
        self, cache, database
    ):
        """F34: the connection is the request's, and MariaDB would close it."""
        with database.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            (limit,) = cursor.fetchone()
        huge = "x" * limit
        cache.set_many({"huge": "old", "swapped": 1}, 60)
        assert cache.set_many({"a": 1, "huge": huge, "b": 2}, 60) == ["huge"]
        assert cache.add("other", huge, 60) is False
        assert cache._swap(":1:swapped", 1, huge.encode(), 60) is False
        assert cache.get_many(["a", "huge", "b", "other", "swapped"]) == {"a": 1, "b": 2}
        cache.set("huge", "x" * (limit // 2), 60)
        assert len(cache.get("huge")) == limit // 2

    def test_rows_are_written_in_order_so_that_two_writers_cannot_deadlock(self, cache, database):
        (text,) = statements(database, lambda: cache.set_many({"b": 1, "c": 2, "a": 3}, 60))
        assert text.index(":1:a") < text.index(":1:b") < text.index(":1:c")

    def test_an_expired_row_is_read_once_and_then_gone(self, cache, database, expire, keys):
        cache.set_many({"a": 1, "b": 2}, 60)
        expire(":1:b")
        assert len(statements(database, lambda: cache.get_many(["a", "b"]))) == 2
        assert keys() == {":1:a"}
        assert len(statements(database, lambda: cache.get_many(["a", "b"]))) == 1

    def test_one_bad_row_does_not_hide_its_neighbours(self, cache, sql, keys):
        cache.set_many({"a": 1, "bad": 2, "c": 3}, 60)
        sql("UPDATE {table} SET {value} = %s WHERE {cache_key} = ':1:bad'", "100% no base64")
        assert cache.get_many(["a", "bad", "c"]) == {"a": 1, "c": 3}
        assert keys() == {":1:a", ":1:c"}


class TestWithoutReturning:
    """Old SQLite, and MySQL, cannot tell which rows a statement changed."""

    @pytest.fixture
    def database(self, sqlite_database, monkeypatch):
        monkeypatch.setattr(sqlite_database.features, "can_return_columns_from_insert", False)
        return sqlite_database

    def test_add_has_one_winner_and_takes_the_place_of_the_expired(self, cache, expire):
        assert cache.add("key", 1, 60) is True
        assert cache.add("key", 2, 60) is False
        expire(":1:key")
        assert cache.add("key", 3, 60) is True
        assert cache.get("key") == 3

    def test_what_has_expired_is_deleted_and_does_not_count(self, cache, expire, keys):
        cache.set_many({"live": 1, "dead": 2}, 60)
        expire(":1:dead")
        assert cache.delete("dead") is False
        assert cache.delete("live") is True
        assert keys() == set()


class TestExpiry:
    """When a row is over."""

    @pytest.mark.parametrize("timeout", [1, 0.25, 2.6])
    def test_nothing_dies_earlier_than_asked(self, cache, sql, database, timeout):
        before = timezone.now()
        cache.set("key", "value", timeout)
        cache.set("other", "value", 60)
        cache.touch("other", timeout)
        table = cache._leader
        for (expires,) in sql("SELECT {expires} FROM {table}"):
            left = table.seconds_until(expires) + (timezone.now() - before).total_seconds()
            assert timeout <= left < timeout + 0.5

    def test_for_ever_is_written_as_django_writes_it(self, cache, sql):
        cache.set("key", "value", None)
        DjangosCache(TABLE, {}).set("django", "value", None)
        ours, django = (row[0] for row in sql("SELECT {expires} FROM {table} ORDER BY {cache_key} DESC"))
        assert ours == django
        assert cache.ttl("key") is None

    def test_a_timeout_beyond_the_calendar_is_for_ever(self, cache):
        cache.set("key", "value", 1e12)
        assert cache.ttl("key") is None

    def test_touch_does_not_bring_the_dead_back(self, cache, expire):
        cache.set("key", "value", 60)
        expire(":1:key")
        assert cache._touch(":1:key", 60) is False
        assert cache.touch("key", 60) is False
        assert cache.get("key") is None

    def test_a_swap_does_not_bring_the_dead_back(self, cache, expire):
        cache.set("key", 1, 60)
        expire(":1:key")
        assert cache._swap(":1:key", 1, 2, 60) is False
        assert cache._increment(":1:key", 1) is None
        assert cache.get("key") is None

    def test_a_swap_sees_the_case_of_a_letter(self, cache):
        cache._write({"name": b"\x00\x10\x83"}, 60)
        cache._write({"other": b"\x68\x10\x83"}, 60)
        # In base64 they differ by the case of their first letter.
        assert cache._swap("name", b"\x68\x10\x83", 1, 60) is False
        assert cache._swap("name", b"\x00\x10\x83", 1, 60) is True


class TestCulling:
    """Which rows go when there are too many, and how often they are counted."""

    @pytest.fixture
    def build(self, table):
        def build(limit, **options):
            return DatabaseCache(table, {"OPTIONS": {"MAX_ENTRIES": limit, **options}})

        return build

    def test_what_expires_soonest_goes_whatever_its_place_in_the_alphabet(self, build):
        cache = build(9)
        cache.set("aaa", "read all the time", 1000)
        for number in range(12):
            cache.set(f"key-{number:02}", number, 100 + number)
        assert cache.get("aaa") == "read all the time"
        assert cache.get("key-11") == 11
        assert cache.get("key-00") is None

    def test_the_expired_go_before_anything_that_lives(self, build, expire, keys):
        cache = build(9)
        cache.set_many({f"dead-{number}": number for number in range(5)}, 1000)
        cache.set_many({f"live-{number}": number for number in range(5)}, 100)
        expire(*(f":1:dead-{number}" for number in range(5)))
        cache.set("one-more", 1, 100)
        assert keys() == {":1:one-more", *(f":1:live-{number}" for number in range(5))}

    def test_frequency_0_leaves_only_what_is_new(self, build, keys):
        cache = build(3, CULL_FREQUENCY=0)
        for number in range(5):
            cache.set(f"key-{number}", number, 100)
        assert keys() == {":1:key-4"}

    @pytest.mark.parametrize("frequency", [0, 2])
    def test_stamps_and_locks_neither_count_nor_go(self, build, keys, frequency):
        cache = build(6, CULL_FREQUENCY=frequency)
        cache.set("tagged", "value", 1000, tags=["a", "b", "c", "d"])
        with cache.lock("key", timeout=5):
            services = {key for key in keys() if SERVICE_MARK in key}
            cache.set_many({f"key-{number}": number for number in range(6)}, 1000)
            assert len(keys()) == 7 + len(services) == 13
            cache.set("one-more", 1, 1000)
            assert services <= keys()
            assert len(keys() - services) == (1 if frequency == 0 else 5)

    def test_stamps_have_a_bound_of_their_own(self, build, keys, monkeypatch):
        monkeypatch.setattr("cacheplus.backends.db._SERVICE_ROWS", 20)
        cache = build(10)
        for number in range(40):
            cache.set("value", number, 10_000 + number, tags=[f"tag-{number}"])
        assert len(keys()) <= 25
        assert cache.get("value") == 39

    def test_a_share_of_the_writes_looks_at_the_size(self, build, database):
        def counts(cache, writes):
            call = [lambda number=number: cache.set(f"key-{number}", number) for number in range(writes)]
            return sum("COUNT" in text for one in call for text in statements(database, one))

        assert counts(build(1000, CULL_PROBABILITY=0), 100) == 0
        assert counts(build(1000, CULL_PROBABILITY=1), 10) == 10
        # By default a table of 50,000 is looked at once in a thousand writes.
        assert counts(build(50_000), 300) < 10
        assert counts(build(30), 10) == 10

    def test_many_values_at_once_are_counted_once(self, build, database):
        cache = build(300)
        data = {f"key-{number}": number for number in range(50)}
        assert sum("COUNT" in text for text in statements(database, lambda: cache.set_many(data))) == 1


def test_a_table_may_have_any_name(database):
    with cache_table(database, name="100% of it") as name:
        cache = DatabaseCache(name, {})
        assert cache.add("key", 1, 60) is True
        assert cache.incr("key") == 2
        cache.clear()
        cache.clear(everything=True)
        assert cache.get("key") is None


class TestTransactions:
    """The request's own connection, and what becomes of its transaction."""

    def test_a_rollback_takes_the_write_with_it_and_a_commit_shows_it(self, cache, database):
        with transaction.atomic(using=database.alias):
            cache.set("key", "value", 60)
            assert cache.get("key") == "value"
            transaction.set_rollback(True, using=database.alias)
        assert cache.get("key") is None
        with transaction.atomic(using=database.alias):
            cache.set("key", "value", 60)
        assert cache.get("key") == "value"

    def test_a_removal_that_is_owed_is_settled_by_none_that_may_be_rolled_back(self, cache, database, monkeypatch):
        # At most one try in a second, also where the table of another test had the last one.
        cache.health.forget()
        cache.set("key", "old", 60)
        with monkeypatch.context() as patched:
            patched.setattr(cache, "_remove", mock.Mock(side_effect=DatabaseError))
            with pytest.raises(DatabaseError):
                cache.delete("key")
        assert cache.pending_removals == 1
        with transaction.atomic(using=database.alias):
            cache.delete("key")
            transaction.set_rollback(True, using=database.alias)
        assert cache.get("key") is None
        assert cache.pending_removals == 0
        assert not cache.has_key("key")

    def test_a_write_is_made_in_a_savepoint(self, cache, database):
        with transaction.atomic(using=database.alias):
            made = statements(database, lambda: cache.set("key", "value", 60))
        # MariaDB is told before a statement how long it may take.
        assert [text.split(" FOR ")[-1].split()[0] for text in made] == ["SAVEPOINT", "INSERT", "RELEASE"]

    def test_reads_in_a_transaction_stay_one_statement(self, cache, database, expire):
        cache.set("key", "value", 60)
        cache.get("key")
        expire(":1:key")
        with transaction.atomic(using=database.alias):
            assert len(statements(database, lambda: cache.get("key"))) == 1

    @pytest.mark.parametrize(
        "call",
        [
            lambda cache: cache.get("key"),
            lambda cache: cache.set("key", "value"),
            lambda cache: cache.add("key", "value"),
            lambda cache: cache.touch("key"),
            lambda cache: cache.incr("key"),
            lambda cache: cache.delete("key"),
            lambda cache: cache.ttl("key"),
            lambda cache: cache.expire_tags("tag"),
            lambda cache: cache.clear(),
        ],
    )
    def test_a_failure_of_the_cache_leaves_the_transaction_usable(self, database, sql, table, call):
        broken = DatabaseCache("no such table", NEVER_CULL)
        with transaction.atomic(using=database.alias):
            with pytest.raises(DatabaseError):
                call(broken)
            assert sql("SELECT 1") == [(1,)]

    def test_with_faults_as_misses_a_request_goes_on(self, database, sql, table):
        broken = DatabaseCache("no such table", {"OPTIONS": {"ON_FAULT": "miss"}})
        with transaction.atomic(using=database.alias):
            assert broken.get("key", "default") == "default"
            assert broken.add("key", 1) is False
            assert broken.set_many({"key": 1}) == ["key"]
            assert sql("SELECT 1") == [(1,)]


class TestRouting:
    """On which database the table is."""

    def test_routers_are_asked_as_django_asks_them(self, cache):
        meta = cache.cache_model_class._meta
        names = (meta.app_label, meta.model_name, meta.object_name, meta.db_table, meta.managed)
        assert names == ("django_cache", "cacheentry", "CacheEntry", TABLE, True)

    def test_it_is_one_of_djangos_database_caches(self, cache):
        assert isinstance(cache, BaseDatabaseCache)
        assert cache._table == TABLE

    def test_each_thread_has_its_own_connection(self, cache, database):
        table = cache._leader
        assert table.connection is database
        assert cache._leader is table
        old = connections[database.alias]
        del connections[database.alias]
        try:
            assert cache._leader.connection is connections[database.alias] is not old
        finally:
            connections[database.alias].close()
            connections[database.alias] = old


class TestErrors:
    """What the owner of a site is told."""

    def test_a_missing_table_is_named_with_the_command_that_makes_it(self, database):
        cache = DatabaseCache("no such table", NEVER_CULL)
        with routed(database), pytest.raises(DatabaseError) as caught:
            cache.set("key", "value")
        assert str(caught.value) == (
            f"Cache 'DatabaseCache' has no table 'no such table' in the {database.alias!r} database. "
            f"Run: python manage.py createcachetable --database {database.alias}"
        )
        assert caught.value.__cause__ is not None

    def test_other_errors_are_let_out_as_they_are(self, cache, sql, database):
        sql("ALTER TABLE {table} RENAME COLUMN {expires} TO gone")
        with pytest.raises(DatabaseError, match="expires"):
            cache.set("key", "value")

    def test_a_database_without_upsert_is_refused_by_name(self, cache, database, monkeypatch):
        monkeypatch.setattr(database.features, "supports_update_conflicts", False)
        with pytest.raises(
            DatabaseError, match=rf"the '{database.alias}' database \({database.vendor}\)\. SQLite, Post"
        ):
            cache.get("key")


class TestNames:
    """Which keys the column holds, and that each is itself alone."""

    # F33 of what keys may look like, and S18 of what a collation takes for equal.
    KINDS = (
        "plain",
        "é" * 100,
        "日本語",
        "😀",
        "line\r\nbreak",
        "tab\t",
        "nul\x00",
        "half a \ud800 pair",
        "half a \ud801 pair",
        "x" * 300,
        "x" * 301,
        "x" * 10_000,
        "%",
        "_",
        "back\\slash",
        "quote'\"`",
        "user:Alice",
        "user:alice",
        "resume",
        "résumé",
        "space",
        "space ",
        "~" + "0" * 64,
    )

    @pytest.fixture(params=["sqlite", "postgres", "mariadb", "mariadb latin1_swedish_ci", "mariadb utf8mb4_general_ci"])
    def place(self, request):
        """A database, and the collation that the table has where Django made it."""
        return request.param.split()

    @pytest.fixture
    def database(self, request, place):
        return request.getfixturevalue(f"{place[0]}_database")

    @pytest.fixture
    def table(self, place, database):
        with cache_table(database) as table:
            for collation in place[1:]:
                with database.cursor() as cursor:
                    name, charset = database.ops.quote_name(table), collation.partition("_")[0]
                    cursor.execute(f"ALTER TABLE {name} CONVERT TO CHARACTER SET {charset} COLLATE {collation}")
            yield table

    @pytest.fixture(autouse=True)
    def forget(self, monkeypatch):
        """As in a new process: the collation of the table is not known yet."""
        monkeypatch.setattr("cacheplus.backends.db_table._collations", {})

    @pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
    def test_every_key_is_itself_alone(self, cache):
        numbered = {key: number for number, key in enumerate(self.KINDS)}
        assert all(cache.add(key, number, 60) for key, number in numbered.items())
        assert not any(cache.add(key, -1, 60) for key in numbered)
        assert {key: cache.get(key) for key in numbered} == numbered
        assert cache.get_many(numbered) == numbered
        assert all(cache.touch(key, 100) for key in numbered)
        assert [cache.incr(key) for key in numbered] == [number + 1 for number in numbered.values()]
        assert [cache.delete(key) for key in numbered] == [True] * len(numbered)

    @pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
    @pytest.mark.parametrize("prefix", ["site", "Site", "s_te", "s%te", "sité"])
    def test_clear_takes_a_prefix_to_the_letter(self, build, prefix):
        others = [
            build(KEY_PREFIX=other) for other in ("site", "Site", "s_te", "s%te", "sité", "sit") if other != prefix
        ]
        cache = build(KEY_PREFIX=prefix)
        for each in (cache, *others):
            each.set_many(dict.fromkeys(("key", "Key", "x" * 300), 1), 60)
        cache.clear()
        assert cache.get_many(["key", "Key", "x" * 300]) == {}
        assert all(len(other.get_many(["key", "Key", "x" * 300])) == 3 for other in others)

    def test_a_key_stays_readable_where_the_collation_keeps_it_apart(self, cache, keys, place):
        cache.set_many({"key": 1, "Key": 2}, 60)
        readable = {
            "latin1_swedish_ci": set(),
            "utf8mb4_general_ci": {":1:key"},
        }.get(place[-1], {":1:key", ":1:Key"})
        assert {key for key in keys() if not key.startswith(":1:~")} == readable
        assert len(keys()) == 2

    def test_what_only_looks_like_the_key_is_not_read(self, cache, sql, keys):
        sql("INSERT INTO {table} VALUES (':1:KEY', 'MQ==', %s)", cache._leader.deadline(60))
        assert cache.get("key") is None
        cache.set("key", 5, 60)
        assert cache.get("key") == 5

    def test_the_collation_is_asked_for_unseen(self, cache, database):
        assert len(statements(database, lambda: cache.get("key"))) == 1


VALUES = {"text": "value", "number": 5, "nothing": None, "deep": {"a": [1, 2.5, b"x"]}}


class TestMovingFromDjango:
    """One table, read by Django's backend and by ours."""

    @pytest.fixture
    def django(self, table):
        return DjangosCache(table, {})

    def test_what_django_wrote_is_read(self, build, django):
        django.set_many(VALUES, 60)
        django.set("for-ever", "value", None)
        cache = build(OPTIONS={"ACCEPT_DJANGO": True})
        assert cache.get_many(VALUES) == VALUES
        assert 55 < cache.ttl("text") <= 60
        assert cache.ttl("for-ever") is None
        assert cache.incr("number") == 6
        assert cache.touch("text", None) is True
        assert cache.add("deep", 1) is False
        assert cache.delete("text") is True
        assert django.get("text") is None

    def test_without_leave_it_is_a_miss(self, cache, django):
        django.set_many(VALUES, 60)
        assert cache.get_many(VALUES) == {}

    def test_an_expiry_of_django_is_kept(self, build, django):
        cache = build(OPTIONS={"ACCEPT_DJANGO": True})
        django.set("key", "value", 1)
        deadline = time.monotonic() + 3
        while cache.get("key") is not None:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_django_sees_our_rows_expire_as_we_do(self, cache, django, expire):
        cache.set("key", "value", 60)
        cache.set("for-ever", "value", None)
        assert django.has_key("key")
        assert django.has_key("for-ever")
        expire(":1:key")
        assert not django.has_key("key")
        assert django.touch("for-ever", 60) is True
        assert 55 < cache.ttl("for-ever") <= 60


class TestChecks:
    """What `manage.py check` says, without a connection."""

    def test_a_sound_alias_says_nothing(self):
        assert DatabaseCache("table", {"OPTIONS": {"CULL_PROBABILITY": 0.1, "MAX_ENTRIES": 5}}).check() == []

    @pytest.mark.parametrize(
        ("location", "params", "found"),
        [
            ("", {}, "cacheplus.E121"),
            (None, {}, "cacheplus.E121"),
            ("table", {"KEY_PREFIX": "p" * 200}, "cacheplus.W122"),
            ("table", {"OPTIONS": {"CULL_PROBABILITY": 1.5}}, "cacheplus.E101"),
            ("table", {"OPTIONS": {"CULL_PROBABILTY": 0.5}}, "cacheplus.W102"),
        ],
    )
    def test_a_mistake_is_named(self, location, params, found):
        assert [message.id for message in DatabaseCache(location, params).check()] == [found]
