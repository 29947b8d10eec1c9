import pickle
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import ModuleType
from uuid import UUID

import pytest
from hypothesis import given

from cacheplus.codecs.objects import Entry, ObjectCodec
from cacheplus.codecs.record import Record
from cacheplus.exceptions import BadRecord, Flaw
from tests.codecs.values import form, nested

codec = ObjectCodec()


class Markup(str):
    __slots__ = ()


class Basket(list):
    pass


def keep(value, codec=codec):
    return codec.decode("name", codec.encode("name", Record(value), b"seal"), b"seal").value


class TestValues:
    @given(nested)
    def test_come_back_exactly(self, value):
        assert form(keep(value)) == form(value)

    @pytest.mark.parametrize(
        "value",
        [
            "text",
            b"bytes",
            1,
            2**80,
            1.5,
            True,
            None,
            date(2026, 1, 2),
            datetime(2026, 1, 2, tzinfo=UTC),
            time(1, 2),
            timedelta(1),
            Decimal("1.20"),
            UUID(int=7),
            (1, "a", None, Decimal(1)),
            frozenset({1, 2}),
        ],
        ids=repr,
    )
    def test_that_cannot_change_are_handed_out_as_they_are(self, value):
        assert keep(value) is value

    @pytest.mark.parametrize(
        "value",
        [[1, 2], {1, 2}, {"a": 1, 2: b"c"}, [[1]], {"a": [1]}, {"a": {"b": 1}}, ([1],), Basket([1]), OrderedDict(a=1)],
        ids=repr,
    )
    def test_that_can_change_are_the_readers_own(self, value):
        stored = codec.encode("name", Record(value))
        first, second = (codec.decode("name", stored).value for _ in range(2))
        assert first == second == value
        assert type(first) is type(value)
        assert len({id(first), id(second), id(value)}) == 3

    def test_that_change_after_they_were_stored_do_not_change_in_the_store(self):
        for value, change in [([1], list.clear), ({1}, set.clear), ({"a": 1}, dict.clear), ([[1]], list.clear)]:
            before, stored = value.copy(), codec.encode("name", Record(value))
            change(value)
            assert codec.decode("name", stored).value == before

    def test_that_change_after_they_were_read_do_not_change_in_the_store(self):
        stored = codec.encode("name", Record({"a": {"b": [1]}}))
        codec.decode("name", stored).value["a"]["b"].append(2)
        assert codec.decode("name", stored).value == {"a": {"b": [1]}}

    def test_of_a_subclass_keep_their_class_and_are_copied(self):
        value = Markup("safe")
        assert type(keep(value)) is Markup
        assert keep(value) is not value

    def test_of_a_type_that_is_declared_immutable_are_handed_out_as_they_are(self):
        declared = ObjectCodec(immutable=[Markup])
        value = Markup("safe")
        assert keep(value, declared) is value
        assert keep([value], declared)[0] is value

    @pytest.mark.parametrize("value", [lambda: None, [lambda: None], {"a": sys}], ids=["function", "in-list", "module"])
    def test_that_cannot_be_pickled_fail_when_they_are_stored(self, value):
        with pytest.raises((pickle.PicklingError, TypeError, AttributeError)):
            codec.encode("name", Record(value))


class TestEntries:
    def test_a_bare_int_is_kept_as_one_so_that_it_can_be_counted_on(self):
        assert codec.encode("name", Record(5)) == 5
        assert codec.encode("name", Record(2**70)) == 2**70
        assert codec.decode("name", 5) == Record(5)

    @pytest.mark.parametrize(
        "record", [Record(True), Record(1, {"tag": b"t"}), Record(1, soft=1.0), Record(1, cost=1.0)]
    )
    def test_everything_else_is_an_entry(self, record):
        entry = codec.encode("name", record)
        assert isinstance(entry, Entry)
        assert codec.decode("name", entry) == record
        assert type(codec.decode("name", entry).value) is type(record.value)

    @pytest.mark.parametrize("value", ["a", ["a"], [["a"]]], ids=["as-is", "copied", "pickled"])
    def test_stamps_times_and_cost_come_back(self, value):
        record = Record(value, {"tag": b"token"}, 1.0, 2.0, 3.0)
        assert codec.decode("name", codec.encode("name", record)) == record

    def test_two_writes_of_one_value_are_told_apart(self):
        first, second = (codec.encode("name", Record("a")) for _ in range(2))
        assert first == first  # noqa: PLR0124 (an entry is itself)
        assert first != second

    def test_an_entry_does_not_open_under_another_seal(self):
        with pytest.raises(BadRecord) as caught:
            codec.decode("name", codec.encode("name", Record("a"), b"3:a:12"), b"1:a1:2")
        assert caught.value.kind is Flaw.CHECKSUM

    def test_a_class_that_is_gone_is_a_miss(self, monkeypatch):
        module = ModuleType("a_module_of_yesterday")
        exec("class Post: pass", module.__dict__)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        entry = codec.encode("name", Record(module.Post()))
        monkeypatch.delattr(module, "Post")
        with pytest.raises(BadRecord) as caught:
            codec.decode("name", entry)
        assert caught.value.kind is Flaw.PAYLOAD
