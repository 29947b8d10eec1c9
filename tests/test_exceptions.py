import inspect

import pytest

from cacheplus import exceptions
from cacheplus.exceptions import BadRecord, CacheFault, CacheplusError, Flaw, MissingExtra


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
