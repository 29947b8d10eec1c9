import pytest
from django.core.cache.backends.base import CacheKeyWarning

from cacheplus.backends.dummy import DummyCache
from cacheplus.exceptions import LockNotAcquired
from cacheplus.testing.calls import Twins
from cacheplus.testing.contract.absence import ABSENT, DELETE, STORING, answers


@pytest.fixture(params=["sync", "async"])
def calls(request):
    cache = DummyCache("location", {})
    return cache if request.param == "sync" else Twins(cache)


def test_every_key_is_absent_to_every_call_and_nothing_is_kept(calls):
    table = {**ABSENT, **DELETE}
    expected = {call: (answer, False) for call, (_, answer) in table.items() if call not in STORING}
    assert answers(calls, table) == {**expected, "get_or_set": ("computed", False), "add": ((True, None), False)}


def test_what_stores_says_that_all_is_well(calls):
    assert calls.set("key", "value", 60, tags=["tag"]) is None
    assert calls.set_many({"a": 1, "b": 2}) == []
    assert calls.add("key", "value") is True
    assert calls.add("key", "value", tags=["tag"]) is True
    assert calls.expire_tags("tag") == 0
    assert calls.clear() is None
    assert calls.clear(everything=True) is None
    assert calls.delete_many(["key"]) is None


def test_get_or_set_computes_each_time(calls):
    computed = []
    for _ in range(3):
        assert calls.get_or_set("key", lambda: computed.append(1) or len(computed), tags=["tag"]) == len(computed)
    assert len(computed) == 3


def test_keys_are_still_judged(calls):
    for call in (calls.get, calls.has_key, calls.delete, calls.touch, lambda key: calls.set_many({key: 1})):
        with pytest.warns(CacheKeyWarning):
            call("two words")


def test_timeouts_and_tags_are_still_judged(calls):
    with pytest.raises(TypeError, match="number of seconds"):
        calls.set("key", "value", "60")
    with pytest.raises(TypeError, match="list of names"):
        calls.set("key", "value", tags="name")


def test_a_lock_is_always_free(calls):
    try:
        with calls.lock("key", wait=0), calls.lock("key", wait=0):
            pass
    except LockNotAcquired:
        pytest.fail("code that locks has to run on a dummy too")
