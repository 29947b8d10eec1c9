import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.codecs.record import from_wire, to_wire
from tests.codecs.values import form


class TestWire:
    @pytest.mark.parametrize(
        ("data", "stored"),
        [
            (b"0", 0),
            (b"7", 7),
            (b"-7", -7),
            (b"-9223372036854775808", -(2**63)),
            (b"18446744073709551615", 2**64 - 1),
            (b"", b""),
            (b"-", b"-"),
            (b"-0", b"-0"),
            (b"007", b"007"),
            (b"+1", b"+1"),
            (b" 1", b" 1"),
            (b"1\n", b"1\n"),
            (b"1_0", b"1_0"),
            (b"1.0", b"1.0"),
            (b"\xd9\xa1", b"\xd9\xa1"),
            (b"1" * 21, b"1" * 21),
            (b"\xcaP", b"\xcaP"),
        ],
        ids=str,
    )
    def test_only_canonical_digits_are_an_int(self, data, stored):
        assert form(from_wire(data)) == form(stored)

    @given(st.integers(-(2**63), 2**63 - 1) | st.binary().map(lambda data: b"\xca" + data))
    def test_what_a_codec_makes_survives(self, stored):
        assert form(from_wire(to_wire(stored))) == form(stored)
