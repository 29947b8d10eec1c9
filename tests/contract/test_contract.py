"""The contract notices what is wrong: backends with one known bug each, most of them once shipped by somebody."""

import secrets
import time

import pytest

from cacheplus.backends.locmem import LocMemCache
from cacheplus.testing import BackendContract


class TimesOutEarly(LocMemCache):
    def _write(self, items, ttl):
        return super()._write(items, ttl and ttl * 0.7)


class CutsFractions(LocMemCache):
    def _write(self, items, ttl):
        whole = ttl and int(ttl)
        return [] if whole == 0 else super()._write(items, whole)


class RevivesWhatIsTouched(LocMemCache):
    def _touch(self, name, ttl):
        stored = self._shelf.values.stored.get(name)
        return super()._touch(name, ttl) or (stored is not None and not self._write({name: stored}, ttl))

    def touch(self, key, timeout=60, version=None):
        return self._touch(self.make_and_validate_key(key, version=version), timeout)

    def _read(self, names):
        kept = dict(self._shelf.values.stored)
        found = super()._read(names)
        self._shelf.values.stored.update(kept)
        self._shelf.values.deadlines.update(dict.fromkeys(kept.keys() - found.keys(), 0.0))
        return found


class CountsExpiredAsDeleted(LocMemCache):
    def delete(self, key, version=None):
        super().delete(key, version)
        return True


class AddsTwice(LocMemCache):
    def _add(self, name, stored, ttl):
        if self._read([name]):
            return False
        time.sleep(0.005)
        self._write({name: stored}, ttl)
        return True


class LosesIncrements(LocMemCache):
    def _increment(self, name, delta):
        stored = self._read([name]).get(name)
        if type(stored) is not int:
            return None
        time.sleep(0.002)
        self._write({name: stored + delta}, 60)
        return stored + delta


class ResetsTheTtlOfCounters(LocMemCache):
    def _increment(self, name, delta):
        total = super()._increment(name, delta)
        if total is not None:
            self._touch(name, 300)
        return total


class ClampsAtZero(LocMemCache):
    def _increment(self, name, delta):
        total = super()._increment(name, delta)
        if total is not None and total < 0:
            self._write({name: 0}, 60)
            return 0
        return total


class CreatesCounters(LocMemCache):
    def _increment(self, name, delta):
        self._add(name, 0, None)
        return super()._increment(name, delta)


class ClearsEverything(LocMemCache):
    def _clear(self, prefix):
        super()._clear(None)


class ClearsTooLittle(LocMemCache):
    def _clear(self, prefix):
        with self._lock:
            for name in [name for name in self._cache if ":1:" in name]:
                self._cache.pop(name)


class KeepsStampsOfItsOwn(LocMemCache):
    def expire_tags(self, *tags):
        return len(tags)


class SwapsBlindly(LocMemCache):
    def _swap(self, name, expected, stored, ttl):
        return self._remove([name]) > 0 if stored is None else not self._write({name: stored}, ttl)


class ForgetsToOverrideTheTwin(LocMemCache):
    async def aget(self, key, default=None, version=None):
        return LocMemCache.get(self, key, default, version)


class MixesVersions(LocMemCache):
    def make_key(self, key, version=None):
        return super().make_key(key, version=1)


class Shares(LocMemCache):
    """Hands out what it keeps."""

    def _read(self, names):
        found = super()._read(names)
        for name, stored in found.items():
            if getattr(stored, "thaw", None):
                value = self.__dict__.setdefault("_shared", {}).setdefault(name, stored.thaw(stored.record.value))
                found[name] = type(stored)(stored.record._replace(value=value), None, stored.seal)
        return found


BUGS = {
    TimesOutEarly: "test_a_value_lives_as_long_as_asked",
    CutsFractions: "test_a_fraction_of_a_second_is_no_nothing",
    RevivesWhatIsTouched: "test_an_expired_key_is_absent_to_every_call",
    CountsExpiredAsDeleted: "test_delete_says_whether_there_was_a_value",
    AddsTwice: "test_one_of_many_callers_of_add_wins",
    LosesIncrements: "test_no_increment_is_lost",
    ResetsTheTtlOfCounters: "test_the_ttl_stays",
    ClampsAtZero: "test_incr_and_decr_add_exactly",
    CreatesCounters: "test_a_missing_key_is_absent_to_every_call",
    ClearsEverything: "test_it_leaves_every_other_prefix_alone",
    ClearsTooLittle: "test_it_deletes_every_version_and_every_stamp",
    KeepsStampsOfItsOwn: "test_expiring_a_tag_ends_what_carries_it_and_nothing_else",
    SwapsBlindly: "test_it_ends_with_its_timeout_and_a_late_release_leaves_the_next_owner_alone",
    ForgetsToOverrideTheTwin: "test_a_subclass_that_overrides_a_call_is_honoured_by_its_twin",
    MixesVersions: "test_versions_are_apart",
    Shares: "test_every_reader_has_a_value_of_its_own",
}

ARGUMENTS = {
    "test_a_fraction_of_a_second_is_no_nothing": {"timeout": 0.4},
    "test_no_increment_is_lost": {"tags": ()},
    "test_incr_and_decr_add_exactly": {"stored": 1, "delta": -10, "total": -9},
    "test_it_leaves_every_other_prefix_alone": {"name": "pre"},
    "test_a_subclass_that_overrides_a_call_is_honoured_by_its_twin": {"call": "get"},
    "test_every_reader_has_a_value_of_its_own": {"value": [[1]], "list_in": lambda value: value[0]},
}
WITH_THE_CACHE = {
    "test_one_of_many_callers_of_add_wins",
    "test_no_increment_is_lost",
    "test_it_leaves_every_other_prefix_alone",
    "test_versions_are_apart",
}


def hold(kind, test):
    """Hold a backend to one test of the contract."""
    cache = kind(secrets.token_hex(8), {})
    arguments = dict(ARGUMENTS.get(test, {}))
    if "twin" in test:
        arguments["cache"] = cache
    else:
        arguments["calls"] = cache
        if test in WITH_THE_CACHE:
            arguments["cache"] = cache
    getattr(BackendContract(), test)(**arguments)


@pytest.mark.parametrize("kind", BUGS, ids=lambda kind: kind.__name__)
def test_a_bug_is_found(kind):
    hold(LocMemCache, BUGS[kind])
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        hold(kind, BUGS[kind])


def test_a_class_without_the_fixture_is_told():
    with pytest.raises(NotImplementedError, match="fixture 'cache' in BackendContract"):
        BackendContract.cache.__wrapped__(BackendContract())
