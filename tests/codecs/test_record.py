import pickle
import random
import subprocess
import sys
import tracemalloc
from types import ModuleType

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cacheplus.codecs.compressors import COMPRESSORS
from cacheplus.codecs.record import TOO_LARGE, Record, from_wire
from cacheplus.exceptions import Flaw
from tests.codecs.records import NAME, PICKLE, SEAL, SERIALIZER_AT, Plain, codec, decode, encode, flaw, signer
from tests.codecs.values import form, ints, json_like, nested, texts
from tests.codecs.values import native as native_values

times = st.none() | st.floats(allow_nan=False)
records = st.builds(Record, nested, st.dictionaries(texts, st.binary(max_size=16), max_size=3), times, times, times)


class TestRoundTrip:
    @given(record=records)
    @pytest.mark.parametrize("options", [{}, {"signer": signer()}, {"compressor": "zlib", "compress_min_bytes": 0}])
    def test_a_record_comes_back_whole(self, options, record):
        found = codec(**options).decode(NAME, codec(**options).encode(NAME, record, SEAL), SEAL)
        assert form(found.value) == form(record.value)
        assert found[1:] == record[1:]

    @given(value=json_like)
    @pytest.mark.parametrize("serializer", ["json", "msgpack"])
    def test_every_serializer_brings_back_what_it_writes(self, serializer, value):
        assume(serializer == "json" or all(-(2**63) <= number < 2**64 for number in ints(value)))
        stored = encode(value, serializer=serializer)
        assert form(decode(stored, serializer=serializer).value) == form(value)

    @pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63)])
    def test_a_bare_int_stays_one(self, value):
        assert encode(value) == value
        assert type(encode(value)) is int
        assert decode(value) == Record(value)

    @pytest.mark.parametrize(
        "record",
        [
            Record(2**63),
            Record(-(2**63) - 1),
            Record(True),
            Record(1.0),
            Record(1, {"tag": b"token"}),
            Record(1, soft=5.0),
            Record(1, cost=0.5),
            Record(1, expires=9.0),
        ],
        ids=repr,
    )
    def test_other_numbers_and_ints_with_something_to_say_are_bytes(self, record):
        stored = codec().encode(NAME, record, SEAL)
        assert type(stored) is bytes
        found = codec().decode(NAME, stored, SEAL)
        assert found == record
        assert type(found.value) is type(record.value)

    @given(value=native_values)
    def test_native_values_need_neither_pickle_nor_signature(self, value):
        if type(value) is int:
            value = str(value)
        stored = encode(value, serializer="json")
        if stored[SERIALIZER_AT] < PICKLE:
            assert form(decode(stored, signer=signer()).value) == form(value)

    def test_what_the_serializer_raises_is_let_out(self):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            encode(lambda: None)
        with pytest.raises(TypeError, match=r"cannot write builtins\.object"):
            encode([object()], serializer="json")

    @given(records)
    def test_no_record_looks_like_anything_else(self, record):
        stored = codec().encode(NAME, record, SEAL)
        if type(stored) is bytes:
            assert stored[0] not in b"-0123456789\x80\x78"
            assert from_wire(stored) is stored
            with pytest.raises(UnicodeDecodeError):
                stored.decode()


class TestFormat:
    """What version 1 looks like. A change here needs a new version: sites run two releases side by side."""

    @pytest.mark.parametrize(
        ("record", "options", "parts"),
        [
            (Record("é"), {}, ["ca50 01 00 01 00 0000000000000014", "c3a9", "30af0e79"]),
            (
                Record(True, {"a": b"t"}, 1.0, None, 2.0),
                {},
                [
                    "ca50 01 16 05 00 0000000000000031",
                    "3ff0000000000000 4000000000000000 00000001 00000001 00000001 61 74",
                    "01",
                    "776c0b29",
                ],
            ),
            (Record([[1]]), {"serializer": "json"}, ["ca50 01 00 21 00 0000000000000017", "5b5b315d5d", "80a56630"]),
            (
                Record([[1]]),
                {"signer": signer()},
                [
                    "ca50 01 01 20 00 0000000000000032",
                    "80059509000000000000005d945d944b0161612e",
                    "73cd4d558f090ccc06b87da4a50a7cfe",
                ],
            ),
            (
                Record("a" * 99),
                {"compressor": "zlib", "compress_min_bytes": 9},
                ["ca50 01 00 01 01 000000000000001e", "78014b4ca43900005462258451", "471b4d"],
            ),
        ],
        ids=["text", "fields", "json", "signed", "zlib"],
    )
    def test_stays_as_it_is(self, record, options, parts):
        stored = bytes.fromhex("".join(parts))
        assert codec(**options).decode(NAME, stored, SEAL) == record
        # Other releases of Python and zlib may write a pickle or a stream differently, and read this one.
        if not options.keys() & {"compressor", "signer"}:
            assert codec(**options).encode(NAME, record, SEAL) == stored


class TestReadingWhatOthersWrite:
    @pytest.mark.parametrize("writer", ["json", "msgpack"])
    @pytest.mark.parametrize("reader", ["pickle", "json", "msgpack", Plain()])
    def test_safe_serializers_are_read_by_every_alias(self, writer, reader):
        assert decode(encode({"a": [1]}, serializer=writer), serializer=reader) == Record({"a": [1]})

    @pytest.mark.parametrize("writer", COMPRESSORS)
    @pytest.mark.parametrize("reader", [None, *COMPRESSORS])
    def test_every_compressor_is_read_by_every_alias(self, writer, reader):
        stored = encode("ab" * 2000, compressor=writer)
        assert len(stored) < 400
        assert decode(stored, compressor=reader) == Record("ab" * 2000)

    @pytest.mark.parametrize(
        ("options", "module", "kind"),
        [
            ({"serializer": "msgpack"}, "msgpack", Flaw.SERIALIZER),
            ({"compressor": "zstd"}, "zstandard", Flaw.COMPRESSOR),
            ({"compressor": "lz4"}, "lz4.block", Flaw.COMPRESSOR),
        ],
        ids=["msgpack", "zstd", "lz4"],
    )
    def test_a_library_that_is_missing_is_a_miss(self, monkeypatch, options, module, kind):
        stored = encode([["ab" * 2000]], **({"serializer": "json"} | options))
        monkeypatch.setitem(sys.modules, module, None)
        assert flaw(stored) is kind

    def test_a_class_that_moved_is_a_miss(self, monkeypatch):
        module = ModuleType("a_module_of_yesterday")
        exec("class Post: pass", module.__dict__)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        stored = encode(module.Post())
        assert type(decode(stored).value) is module.Post
        monkeypatch.delattr(module, "Post")
        assert flaw(stored) is Flaw.PAYLOAD
        monkeypatch.delitem(sys.modules, module.__name__)
        assert flaw(stored) is Flaw.PAYLOAD


class TestCompression:
    def test_starts_at_the_minimum(self):
        below, at = "a" * 1023, "a" * 1024
        assert len(encode(below, compressor="zlib")) > 1023
        assert len(encode(at, compressor="zlib")) < 100

    def test_is_left_out_where_it_saves_nothing(self):
        noise = random.Random(1).randbytes(5000)
        assert encode(noise, compressor="zlib") == encode(noise)

    @pytest.mark.parametrize("name", COMPRESSORS)
    def test_a_bomb_is_a_miss(self, name):
        bomb = encode(bytes(2**20), compressor=name)
        assert len(bomb) < 2**14
        assert flaw(bomb, max_bytes_decoded=2**20 - 1) is Flaw.TOO_LARGE


class TestSize:
    @pytest.mark.parametrize("compressor", [None, "zlib"])
    def test_what_takes_more_bytes_than_could_be_read_again_is_not_to_be_stored(self, compressor):
        for value in ("a" * 3000, b"a" * 3000, "ä" * 1500, [1] * 1500, {"a": "b" * 3000}):
            assert encode(value, compressor=compressor, max_bytes_decoded=2899) is TOO_LARGE
        stored = encode("a" * 3000, compressor=compressor, max_bytes_decoded=3000)
        assert decode(stored, compressor=compressor, max_bytes_decoded=3000) == Record("a" * 3000)

    @pytest.mark.parametrize("value", ["a" * 2**24, bytes(2**24)], ids=["text", "bytes"])
    def test_is_looked_at_before_a_copy_is_made(self, value):
        tracemalloc.start()
        try:
            assert encode(value, max_bytes_decoded=2**23) is TOO_LARGE
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


def test_the_codecs_load_neither_django_nor_an_optional_library():
    script = (
        "import sys, cacheplus.codecs.record, cacheplus.codecs.objects\n"
        "print(sorted({'django', 'msgpack', 'zstandard', 'lz4'} & {*sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
