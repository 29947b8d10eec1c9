import os

import pytest

from cacheplus.codecs.record import Record
from cacheplus.exceptions import Flaw
from tests.codecs.records import FLAGS_AT, LENGTH_AT, Plain, decode, encode, flaw, forge, signer


class Making:
    """Pickles as a call that makes a directory."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


class TestHostilePickle:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "made"

    def test_runs_where_nothing_guards_against_it(self, path):
        decode(encode([Making(path)]))
        assert path.exists()

    @pytest.mark.parametrize(
        ("options", "kind"),
        [
            ({"signer": signer()}, Flaw.SIGNATURE),
            ({"serializer": "json"}, Flaw.SERIALIZER),
            ({"serializer": "msgpack"}, Flaw.SERIALIZER),
            ({"serializer": Plain()}, Flaw.SERIALIZER),
            ({"serializer": "json", "signer": signer()}, Flaw.SERIALIZER),
        ],
        ids=["signed", "json", "msgpack", "custom", "json-signed"],
    )
    @pytest.mark.parametrize(
        "written",
        [{}, {"signer": signer("another site's")}, {"compressor": "zlib", "compress_min_bytes": 0}],
        ids=["unsigned", "signed-by-another", "compressed"],
    )
    def test_is_never_loaded_where_something_does(self, path, written, options, kind):
        assert flaw(encode([Making(path)], **written), **options) is kind
        assert not path.exists()

    def test_a_signature_cannot_be_taken_off(self, path):
        signed = encode([Making(path)], signer=signer())
        unsigned = forge(signed[:-16] + bytes(4), {FLAGS_AT: 0})
        unsigned = forge(unsigned, dict(enumerate(len(unsigned).to_bytes(8, "big"), LENGTH_AT)))
        assert flaw(unsigned, signer=signer()) is Flaw.SIGNATURE
        assert not path.exists()

    def test_a_signed_record_does_not_move_to_another_key(self, path):
        stored = encode([Making(path)], signer=signer())
        assert flaw(stored, "prefix:1:other", signer=signer()) is Flaw.SIGNATURE
        assert not path.exists()

    def test_a_custom_serializer_is_guarded_alike(self, path):
        unsigned = encode([Making(path)], serializer=Plain())
        assert flaw(unsigned, serializer=Plain(), signer=signer()) is Flaw.SIGNATURE
        assert not path.exists()
        signed = encode([[1]], serializer=Plain(), signer=signer())
        assert decode(signed, serializer=Plain(), signer=signer()) == Record([[1]])


class TestSigning:
    def test_keys_rotate(self):
        stored = encode([[1]], signer=signer("old"))
        assert decode(stored, signer=signer("new", "old")) == Record([[1]])
        assert flaw(stored, signer=signer("new")) is Flaw.SIGNATURE

    def test_a_codec_without_keys_reads_nothing_signed(self):
        assert flaw(encode([[1]], signer=signer())) is Flaw.SIGNATURE

    def test_only_what_could_run_code_is_signed(self):
        for value, options in [("text", {}), ([[1]], {"serializer": "json"}), ([[1]], {"serializer": "msgpack"})]:
            assert encode(value, signer=signer(), **options) == encode(value, **options)
