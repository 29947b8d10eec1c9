"""Random sequences of calls against a model: a dict that knows versions, timeouts and tags, and nothing of stores."""

import secrets
from functools import cached_property
from math import inf

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cacheplus import tags
from cacheplus.backends import locmem
from cacheplus.backends.locmem import LocMemCache
from cacheplus.codecs.record import RecordCodec
from cacheplus.testing.calls import Twins

KEYS = st.sampled_from(["a", "b", "c"])
VERSIONS = st.sampled_from([1, 2])
TAGS = st.lists(st.sampled_from(["x", "y"]), unique=True)
VALUES = st.one_of(st.integers(-2, 2), st.sampled_from([None, True, 1.5, "text", [1], 2**63 - 1, -(2**63)]))
TIMEOUTS = st.sampled_from([None, 0, -1, 0.5, 1, 10, 10**4])
DELTAS = st.sampled_from([1, 0, -1, 10, -(2**63), 0.5])


class BytesInMemory(LocMemCache):
    """LocMemCache with the codec of the stores that keep bytes."""

    @cached_property
    def codec(self):
        return RecordCodec()


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def time(self):
        return 10**9 + self.now


class Model(RuleBasedStateMachine):
    """A cache beside a dict from (key, version) to (value, deadline, tags)."""

    kind = LocMemCache
    way = staticmethod(lambda cache: cache)
    # How far a ttl may be off.
    leeway = None
    # What incr raises for what is no number.
    refusals = (TypeError,)

    @initialize()
    def start(self):
        self.clock = Clock()
        self.cache = self.way(self.build())
        self.entries = {}
        self.dead = set()

    def build(self):
        locmem.time = tags.time = self.clock
        return self.kind(secrets.token_hex(8), {"TIMEOUT": 100})

    def live(self, key, version):
        value, deadline, tags = self.entries.get((key, version), (None, -inf, ()))
        return (value, deadline, tags) if deadline > self.clock.now else None

    def put(self, key, version, value, timeout, tags):
        self.entries.pop((key, version), None)
        if timeout is None or timeout > 0:
            deadline = inf if timeout is None else self.clock.now + timeout
            self.entries[key, version] = (value, deadline, tuple(tags))

    @rule(key=KEYS, version=VERSIONS, value=VALUES, timeout=TIMEOUTS, tags=TAGS)
    def set(self, key, version, value, timeout, tags):
        self.cache.set(key, value, timeout, version, tags=tags)
        self.put(key, version, value, timeout, tags)

    @rule(keys=st.lists(KEYS, unique=True), version=VERSIONS, value=VALUES, timeout=TIMEOUTS, tags=TAGS)
    def set_many(self, keys, version, value, timeout, tags):
        assert self.cache.set_many(dict.fromkeys(keys, value), timeout, version, tags=tags) == []
        for key in keys:
            self.put(key, version, value, timeout, tags)

    @rule(key=KEYS, version=VERSIONS, value=VALUES, timeout=TIMEOUTS, tags=TAGS)
    def add(self, key, version, value, timeout, tags):
        is_free = self.live(key, version) is None
        assert self.cache.add(key, value, timeout, version, tags=tags) is is_free
        if is_free:
            self.put(key, version, value, timeout, tags)

    @rule(key=KEYS, version=VERSIONS, value=VALUES, timeout=TIMEOUTS, tags=TAGS)
    def get_or_set(self, key, version, value, timeout, tags):
        found = self.live(key, version)
        assert self.cache.get_or_set(key, lambda: value, timeout, version, tags=tags) == (found[0] if found else value)
        if not found:
            self.put(key, version, value, timeout, tags)

    @rule(key=KEYS, version=VERSIONS, timeout=TIMEOUTS)
    def touch(self, key, version, timeout):
        found = self.live(key, version)
        assert self.cache.touch(key, timeout, version) is bool(found)
        if found:
            self.put(key, version, found[0], timeout, found[2])

    @rule(key=KEYS, version=VERSIONS)
    def delete(self, key, version):
        was_deleted = self.cache.delete(key, version)
        # A record whose tag was expired may still lie there, and then delete says so.
        assert was_deleted is (self.live(key, version) is not None) or (key, version) in self.dead
        self.entries.pop((key, version), None)
        self.dead.discard((key, version))

    @rule(key=KEYS, version=VERSIONS, delta=DELTAS)
    def incr(self, key, version, delta):
        found = self.live(key, version)
        if found is None:
            with pytest.raises(ValueError, match="not found"):
                self.cache.incr(key, delta, version)
        elif not isinstance(found[0], int | float):
            with pytest.raises(self.refusals):
                self.cache.incr(key, delta, version)
        else:
            total = found[0] + delta
            assert self.cache.incr(key, delta, version) == total
            self.entries[key, version] = (total, *found[1:])

    @rule(key=KEYS, version=VERSIONS)
    def incr_version(self, key, version):
        found = self.live(key, version)
        if found is None:
            with pytest.raises(ValueError, match="not found"):
                self.cache.incr_version(key, 3 - 2 * version, version)
        else:
            assert self.cache.incr_version(key, 3 - 2 * version, version) == 3 - version
            self.entries[key, 3 - version] = self.entries.pop((key, version))

    @rule(tags=TAGS)
    def expire_tags(self, tags):
        self.cache.expire_tags(*tags)
        for place in [place for place, (_, _, carried) in self.entries.items() if {*carried} & {*tags}]:
            del self.entries[place]
            self.dead.add(place)

    @rule(seconds=st.sampled_from([0.25, 0.5, 1, 9.5, 9999]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule()
    def clear(self):
        self.cache.clear()
        self.entries.clear()

    @invariant()
    def they_agree(self):
        for version in (1, 2):
            live = {key: self.live(key, version) for key in "abc"}
            expected = {key: found[0] for key, found in live.items() if found}
            found = self.cache.get_many("abc", version)
            assert found == expected
            assert {key: type(value) for key, value in found.items()} == {k: type(v) for k, v in expected.items()}
            for key in "abc":
                assert self.cache.has_key(key, version) is (key in expected)
                left = live[key][1] - self.clock.now if live[key] else 0
                assert self.cache.ttl(key, version) == (None if left == inf else pytest.approx(left, abs=self.leeway))


def play(machine, examples, **others):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **others,
        ),
    )


@pytest.mark.parametrize("way", [lambda cache: cache, Twins], ids=["sync", "async"])
@pytest.mark.parametrize("store", [LocMemCache, BytesInMemory])
def test_no_sequence_of_calls_tells_a_cache_from_its_model(monkeypatch, store, way):
    for module in (locmem, tags):
        monkeypatch.setattr(module, "time", None)

    class Kind(Model):
        kind = store

    Kind.way = staticmethod(way)
    play(Kind, 20 if way is Twins else 100)
