import inspect
import pickle

import pytest

from cacheplus import exceptions
from cacheplus.exceptions import BadRecord, CacheFault, CacheplusError, CacheUnavailable, Flaw, MissingExtra, shown


def test_every_exception_stands_in_the_tree_and_has_one_root():
    found = [kind for _, kind in inspect.getmembers(exceptions, inspect.isclass) if issubclass(kind, Exception)]
    assert len(found) > 1
    for kind in found:
        assert issubclass(kind, CacheplusError)
        assert kind.__name__ in exceptions.__doc__


def test_a_bad_record_tells_its_kind_and_what_was_found():
    error = BadRecord("checksum", "damaged")
    assert error.kind is Flaw.CHECKSUM
    assert str(error) == "unusable record (checksum): damaged"


def test_the_kinds_of_bad_records_are_a_closed_set():
    with pytest.raises(ValueError, match="'mistyped' is not a valid Flaw"):
        BadRecord("mistyped", "")


def test_callers_of_django_catch_a_cache_fault():
    assert issubclass(CacheFault, ValueError)


def test_a_missing_extra_is_an_import_error_that_says_what_to_do():
    error = MissingExtra("lz4.block", "lz4")
    assert isinstance(error, ImportError)
    assert (error.name, error.extra) == ("lz4.block", "lz4")
    assert str(error).endswith("pip install cacheplus[lz4]")


def test_a_store_that_is_left_alone_is_among_the_faults_of_every_store():
    error = CacheUnavailable("left alone", "default", "TimeoutError", 5.0)
    assert isinstance(error, OSError)
    assert (error.alias, error.kind, error.since, str(error)) == ("default", "TimeoutError", 5.0, "left alone")
    assert str(pickle.loads(pickle.dumps(error))) == "left alone"


def test_a_key_in_a_message_is_on_one_line_and_not_endless():
    assert shown("a\nb") == r"'a\nb'"
    assert shown(5) == "5"
    assert shown("a" * 10_000) == f"'{'a' * 32}'… (10000 characters)"
    assert "\n" not in shown("a\n" * 10_000)
