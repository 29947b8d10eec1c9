import pickle
import random

import pytest

from cacheplus.codecs.record import Record
from cacheplus.exceptions import BadRecord, Flaw
from tests.codecs.records import (
    COMPRESSOR_AT,
    FLAGS_AT,
    NAME,
    PICKLE,
    SEAL,
    SERIALIZER_AT,
    STAMPS,
    VERSION_AT,
    codec,
    decode,
    encode,
    flaw,
    forge,
    signer,
)

SAMPLES = {
    "native": (Record("text"), {}),
    "fields": (Record([1, "a"], STAMPS, 1.5, 0.25, 1e9), {}),
    "pickle": (Record({"a": [1]}), {}),
    "signed": (Record({"a": [1]}, STAMPS), {"signer": signer()}),
    "json": (Record({"a": [1]}), {"serializer": "json"}),
    "zlib": (Record("ab" * 200), {"compressor": "zlib", "compress_min_bytes": 0}),
    "zstd": (Record("ab" * 200), {"compressor": "zstd", "compress_min_bytes": 0}),
    "lz4": (Record("ab" * 200), {"compressor": "lz4", "compress_min_bytes": 0}),
}


@pytest.mark.parametrize(("record", "options"), SAMPLES.values(), ids=SAMPLES)
class TestDamage:
    def test_every_single_flipped_bit_is_noticed(self, record, options):
        stored = codec(**options).encode(NAME, record, SEAL)
        reader = codec(**options)
        for bit in range(len(stored) * 8):
            damaged = bytearray(stored)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(BadRecord):
                reader.decode(NAME, bytes(damaged), SEAL)

    def test_every_cut_is_noticed(self, record, options):
        stored = codec(**options).encode(NAME, record, SEAL)
        reader = codec(**options)
        for length in range(len(stored)):
            with pytest.raises(BadRecord):
                reader.decode(NAME, stored[:length], SEAL)

    def test_anything_appended_is_noticed(self, record, options):
        stored = codec(**options).encode(NAME, record, SEAL)
        assert flaw(stored + b"\x00", **options) is Flaw.TRUNCATED

    def test_random_bytes_are_refused(self, record, options):
        stored, reader = codec(**options).encode(NAME, record, SEAL), codec(**options)
        noise = random.Random(1)
        for _ in range(300):
            damaged = bytearray(stored)
            for _ in range(noise.randint(2, 12)):
                damaged[noise.randrange(len(damaged))] = noise.randrange(256)
            if damaged != stored:
                with pytest.raises(BadRecord):
                    reader.decode(NAME, bytes(damaged), SEAL)

    @pytest.mark.parametrize(
        ("name", "seal"),
        [
            ("prefix:1:kez", SEAL),
            ("", SEAL),
            (NAME, b""),
            (NAME, b"1:a1:1"),
            (NAME[1:], SEAL + b"p"),
            (SEAL.decode(), b""),
        ],
    )
    def test_another_name_or_seal_does_not_open_it(self, record, options, name, seal):
        stored = codec(**options).encode(NAME, record, SEAL)
        assert flaw(stored, name, seal, **options) in {Flaw.CHECKSUM, Flaw.SIGNATURE}


class TestUnknown:
    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({VERSION_AT: 0}, Flaw.VERSION),
            ({VERSION_AT: 2}, Flaw.VERSION),
            ({FLAGS_AT: 0x80}, Flaw.VERSION),
            ({SERIALIZER_AT: 0}, Flaw.SERIALIZER),
            ({SERIALIZER_AT: 200}, Flaw.SERIALIZER),
            ({SERIALIZER_AT: 255}, Flaw.SERIALIZER),
            ({COMPRESSOR_AT: 99}, Flaw.COMPRESSOR),
            ({COMPRESSOR_AT: 1}, Flaw.PAYLOAD),
            ({SERIALIZER_AT: 7}, Flaw.PAYLOAD),
            ({SERIALIZER_AT: PICKLE}, Flaw.PAYLOAD),
            ({FLAGS_AT: 2}, Flaw.PAYLOAD),
            ({FLAGS_AT: 4}, Flaw.PAYLOAD),
        ],
        ids=str,
    )
    def test_what_this_release_does_not_know_is_refused(self, changes, kind):
        assert flaw(forge(encode("text"), changes)) is kind

    @pytest.mark.parametrize("stored", [b"", b"\xca", b"\xcaP", b"\xcaP\x01\x00"])
    def test_less_than_a_header_is_refused(self, stored):
        assert flaw(stored) in {Flaw.FOREIGN, Flaw.TRUNCATED}

    @pytest.mark.parametrize(
        "stored", [b"<html>", b"\x80\x04K\x01.", b"\x78\x9c", b"null", b"\xcc" + bytes(12), b"-", b"1 "]
    )
    def test_what_others_wrote_is_foreign(self, stored):
        assert flaw(stored) is Flaw.FOREIGN

    def test_a_message_holds_neither_key_nor_value(self):
        stored = encode("the value that is secret")
        for damaged in (stored[:-1] + b"\x00", stored[:-1], forge(stored, {SERIALIZER_AT: 7})):
            with pytest.raises(BadRecord) as caught:
                decode(damaged)
            assert "secret" not in str(caught.value)
            assert NAME not in str(caught.value)


class TestForeign:
    def test_a_reader_of_foreign_bytes_is_asked(self):
        assert decode(b"abc", foreign=bytes.upper) == Record(b"ABC")

    def test_it_is_not_asked_about_our_own_records(self):
        assert decode(encode("a"), foreign=bytes.upper) == Record("a")
        assert flaw(encode("a")[:-1], foreign=bytes.upper) is Flaw.TRUNCATED

    def test_what_it_raises_is_a_bad_record(self):
        assert flaw(b"\x80garbage", foreign=pickle.loads) is Flaw.FOREIGN

    def test_a_bad_record_of_its_own_is_kept(self):
        def refuse(_stored):
            raise BadRecord(Flaw.PAYLOAD, "cut")

        assert flaw(b"abc", foreign=refuse) is Flaw.PAYLOAD
