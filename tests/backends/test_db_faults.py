"""The database store when one of its statements fails, whichever that is (F40)."""

from contextlib import nullcontext

import pytest
from django.db import OperationalError, transaction

from cacheplus.backends.db import DatabaseCache
from cacheplus.exceptions import CacheFault
from tests.cache_tables import cache_table

CALLS = {
    "get": lambda cache: cache.get("key"),
    "get_many": lambda cache: cache.get_many(["key", "number"]),
    "get_or_set": lambda cache: cache.get_or_set("missing", 5, 60),
    "set": lambda cache: cache.set("key", "new", 60),
    "set with a tag": lambda cache: cache.set("key", "new", 60, tags=["tag"]),
    "set_many": lambda cache: cache.set_many({"key": "new", "other": "new"}, 60),
    "add": lambda cache: cache.add("missing", 1, 60),
    "touch": lambda cache: cache.touch("key", 60),
    "incr": lambda cache: cache.incr("number"),
    "delete": lambda cache: cache.delete("key"),
    "expire_tags": lambda cache: cache.expire_tags("tag"),
    "clear": lambda cache: cache.clear(),
}
WRITES = ("set", "set with a tag", "set_many")


class Failing:
    """Lets the n-th statement fail."""

    def __init__(self, number):
        self.number = number
        self.seen = 0

    def __call__(self, execute, sql, params, many, context):
        self.seen += 1
        if self.seen == self.number:
            raise OperationalError("It is out of order.")
        return execute(sql, params, many, context)


@pytest.fixture
def cache(database):
    with cache_table(database) as table:
        yield DatabaseCache(table, {"OPTIONS": {"ON_FAULT": "miss", "CULL_PROBABILITY": 1}})


@pytest.mark.parametrize("is_inside", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("call", CALLS)
def test_whichever_statement_fails_nothing_is_raised_and_no_old_value_is_read(cache, database, call, is_inside):
    number, has_failed = 0, True
    while has_failed:
        number += 1
        cache.set_many({"key": "old", "number": 1}, 60)
        with transaction.atomic(using=database.alias) if is_inside else nullcontext():
            with database.execute_wrapper(failing := Failing(number)):
                try:
                    CALLS[call](cache)
                except CacheFault:
                    assert call == "incr"
            # The transaction of the request goes on.
            assert cache.set_many({"after": number}, 60) == []
            if call in WRITES:
                assert cache.get("key") in (None, "new")
        # What was not cleared counts as absent until it is.
        assert cache.get("after") == number or call == "clear"
        has_failed = failing.seen >= number
    assert number > 1
