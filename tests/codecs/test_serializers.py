import json
import pickle
import sys
from datetime import date
from types import SimpleNamespace

import pytest
from hypothesis import given

from cacheplus.codecs.serializers import CustomSerializer, make_serializer
from cacheplus.exceptions import BadRecord, Flaw, MissingExtra
from tests.codecs.values import form, json_like, nested


class Reversing:
    def dumps(self, value):
        return repr(value).encode()[::-1]

    def loads(self, data):
        return eval(data[::-1])


class Shouting(Reversing):
    pass


class TestPickle:
    @given(nested)
    def test_brings_values_back_exactly(self, value):
        serializer = make_serializer("pickle")
        assert form(serializer.loads(serializer.dumps(value))) == form(value)

    def test_lets_out_what_pickling_raises(self):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            make_serializer("pickle").dumps(lambda: None)
        with pytest.raises(TypeError):
            make_serializer("pickle").dumps(sys)


@pytest.mark.parametrize("name", ["json", "msgpack"])
class TestSafeSerializers:
    def test_names_the_type_that_it_cannot_write_and_the_way_out(self, name):
        with pytest.raises(TypeError, match=rf'SERIALIZER "{name}" cannot write datetime\.date;.*"pickle"'):
            make_serializer(name).dumps({"day": [date(2026, 1, 2)]})

    def test_tuples_come_back_as_lists(self, name):
        serializer = make_serializer(name)
        assert serializer.loads(serializer.dumps({"a": (1, (2,))})) == {"a": [1, [2]]}

    def test_lone_surrogates_survive(self, name):
        serializer = make_serializer(name)
        assert serializer.loads(serializer.dumps(["\ud83d\ude00", ["\udfff"]])) == ["\ud83d\ude00", ["\udfff"]]

    def test_a_circular_value_is_refused(self, name):
        value = []
        value.append(value)
        with pytest.raises(ValueError, match=r"(?i)circular|recursion"):
            make_serializer(name).dumps(value)

    def test_does_not_run_code(self, name):
        assert not make_serializer(name).runs_code


class TestJSON:
    @given(json_like)
    def test_brings_json_values_back_exactly(self, value):
        serializer = make_serializer("json")
        assert form(serializer.loads(serializer.dumps(value))) == form(value)

    @pytest.mark.parametrize("value", [{1: "a"}, [{"a": {None: 1}}], {"a": ({True: 1},)}])
    def test_refuses_keys_that_would_become_strings(self, value):
        with pytest.raises(TypeError, match=r'SERIALIZER "json" cannot keep the key .*"pickle"'):
            make_serializer("json").dumps(value)


class TestMsgPack:
    def test_keeps_bytes_and_scalar_keys(self):
        serializer = make_serializer("msgpack")
        value = {1: [b"\x00", {"a": None}], b"k": 2.5, None: True}
        assert form(serializer.loads(serializer.dumps(value))) == form(value)

    def test_refuses_a_tuple_as_key(self):
        with pytest.raises(TypeError, match=r'SERIALIZER "msgpack" cannot keep the key \(1, 2\) as tuple'):
            make_serializer("msgpack").dumps([{(1, 2): "a"}])

    def test_refuses_an_int_beyond_64_bits(self):
        with pytest.raises(TypeError, match=r'SERIALIZER "msgpack" cannot write an int beyond 64 bits'):
            make_serializer("msgpack").dumps([[2**64]])

    def test_a_missing_library_is_named_with_the_line_that_installs_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "msgpack", None)
        with pytest.raises(MissingExtra, match=r"pip install cacheplus\[msgpack\]"):
            make_serializer("msgpack")


class TestCustom:
    @pytest.mark.parametrize("spec", [Reversing(), Reversing])
    def test_an_object_or_a_class_will_do(self, spec):
        serializer = make_serializer(spec)
        assert serializer.loads(serializer.dumps({1: [2]})) == {1: [2]}

    def test_a_module_will_do(self):
        serializer = make_serializer(pickle)
        assert serializer.loads(serializer.dumps({1: [2]})) == {1: [2]}

    def test_another_class_does_not_read_its_data(self):
        data = make_serializer(Reversing()).dumps([[1]])
        with pytest.raises(BadRecord) as caught:
            make_serializer(Shouting()).loads(data)
        assert caught.value.kind is Flaw.SERIALIZER

    def test_counts_as_one_that_runs_code(self):
        assert CustomSerializer(Reversing()).runs_code

    def test_must_return_bytes(self):
        with pytest.raises(TypeError, match=r"SERIALIZER json: dumps\(\) must return bytes, not str"):
            make_serializer(json).dumps([[1]])

    def test_must_have_both_methods(self):
        with pytest.raises(TypeError, match=r"must have the methods dumps\(value\) -> bytes and loads\(data\)"):
            make_serializer(SimpleNamespace(dumps=bytes))


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match='SERIALIZER \'yaml\' is unknown; choose one of "pickle", "json", "msgpack"'):
        make_serializer("yaml")
