"""The model of tests/test_model.py beside every store, with faults in between.

A clock that can be set would have to be the server's, so here no time passes.
"""

import secrets
from itertools import chain, repeat

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.faults.stores import BYTES, build, opened
from tests.test_model import DELTAS, KEYS, TAGS, VALUES, VERSIONS, Model, play

CALLS = st.sampled_from(["get", "set", "set_many", "add", "get_or_set", "touch", "delete", "incr", "expire_tags"])
STEPS = st.lists(st.tuples(CALLS, KEYS, VERSIONS, VALUES, TAGS, DELTAS), min_size=1, max_size=8)
# What becomes of each call of a primitive: it fails before it was done, or its answer is lost.
FATES = st.lists(st.sampled_from(["works", "before", "after"]), max_size=20)
PRIMITIVES = ("read", "write", "add", "add_many", "swap", "touch", "remove", "increment", "ttl", "clear")


def longer(timeout):
    """A ttl that no test outlives, for one that a busy machine might."""
    return timeout if timeout is None or timeout <= 0 else timeout + 1000


class Fates:
    """Lets the primitives of a backend fail, one after the other, while `coming` says so."""

    def __init__(self, cache):
        self.coming = repeat("works")
        self.error = OSError if issubclass(OSError, cache.faults) else cache.faults[0]
        for name in PRIMITIVES:
            setattr(cache, f"_{name}", self.around(getattr(cache, f"_{name}")))

    def around(self, primitive):
        def call(*args):
            fate = next(self.coming)
            if fate == "before":
                raise self.error("injected")
            answer = primitive(*args)
            if fate == "after":
                raise self.error("injected")
            return answer

        return call


class OnStore(Model):
    """The model on a store whose clock is the real one, with outages."""

    entry = None
    leeway = 30
    wait = None

    def build(self):
        cache = build({**self.entry, "KEY_PREFIX": secrets.token_hex(6), "TIMEOUT": 100})
        ttl_of = cache._ttl_of
        cache._ttl_of = lambda timeout: longer(ttl_of(timeout))
        self.refusals = (TypeError, *cache.increment_errors)
        self.fates = Fates(cache)
        return cache

    def put(self, key, version, value, timeout, tags):
        super().put(key, version, value, longer(timeout), tags)

    @rule(steps=STEPS, fates=FATES)
    def outage(self, steps, fates):
        """What is read during and after it is a miss, or what may stand there; what was ended does not."""
        places = [(key, version) for key in "abc" for version in (1, 2)]
        self.possible = {place: [found] if (found := self.live(*place)) else [] for place in places}
        self.fates.coming = chain(fates, repeat("before"))
        for step in steps:
            self.step(*step)
        self.fates.coming = repeat("works")
        self.cache.heal()
        assert self.cache.pending_removals == 0
        for key, version in places:
            self.judge(key, version, self.cache.get(key, version=version))
        self.cache.clear()
        self.entries.clear()
        self.dead.clear()

    def judge(self, key, version, found):
        known = [(type(value), value) for value, *_ in self.possible[key, version]]
        assert found is None or (type(found), found) in known

    def step(self, call, key, version, value, tags, delta):
        before = self.possible[key, version]
        new = (value, None, tuple(tags))
        match call:
            case "get":
                self.judge(key, version, self.cache.get(key, version=version))
            case "set":
                self.cache.set(key, value, 100, version, tags=tags)
                self.possible[key, version] = [new]
            case "set_many":
                self.cache.set_many({key: value}, 100, version, tags=tags)
                self.possible[key, version] = [new]
            case "add":
                self.cache.add(key, value, 100, version, tags=tags)
                self.possible[key, version] = [*before, new]
            case "get_or_set":
                self.possible[key, version] = [*before, new]
                self.judge(key, version, self.cache.get_or_set(key, value, 100, version, tags=tags))
            case "touch":
                self.cache.touch(key, 100, version)
            case "delete":
                self.cache.delete(key, version)
                self.possible[key, version] = []
            case "incr":
                self.increment(key, version, delta)
            case _:
                self.cache.expire_tags(*tags)
                for place, known in self.possible.items():
                    self.possible[place] = [each for each in known if not {*each[2]} & {*tags}]

    def increment(self, key, version, delta):
        before = self.possible[key, version]
        totals = [(value + delta, end, tags) for value, end, tags in before if isinstance(value, int | float)]
        self.possible[key, version] = [*before, *totals]
        try:
            self.cache.incr(key, delta, version)
        except (ValueError, TypeError, *self.cache.increment_errors):
            pass  # a fault has no number for an answer
        self.judge(key, version, self.cache.get(key, version=version))


@pytest.mark.parametrize("store", BYTES)
def test_no_sequence_of_calls_and_faults_tells_a_store_from_its_model(store):
    with opened(store, ON_FAULT="miss") as params:

        class Kind(OnStore):
            entry = params

        play(Kind, 15, derandomize=True)
