"""The bytes and flags of an item of memcached: what it says of its end, and what is taken for whose."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheplus.backends.memcached_item import Item, is_foreign, pack, seconds_left, term_of, unpack

NOW = 1_790_000_000.3
DAY = 24 * 3600
TIMES = st.floats(1_500_000_000, 2_147_000_000)
DIAL = (2**31 - 1) / 16


@pytest.mark.parametrize(
    ("ttl", "expiry"),
    [
        (None, 0),
        (0.001, 2),
        (0.5, 2),
        (1, 2),
        (1.01, 3),
        (60, 61),
        (30 * DAY - 1, 30 * DAY),
        (30 * DAY, int(NOW) + 30 * DAY + 1),
        (365 * DAY, int(NOW) + 365 * DAY + 1),
        (10 * 365 * DAY, int(NOW) + 10 * 365 * DAY + 1),
        (100 * 365 * DAY, 0),
    ],
)
def test_the_server_is_told_one_second_more_than_was_asked_rounded_up(ttl, expiry):
    assert term_of(ttl, NOW).expiry == expiry


def test_a_term_tells_what_is_left_to_a_sixteenth_of_a_second():
    assert 59.9 <= seconds_left(term_of(60, NOW).flags, NOW) <= 60


@pytest.mark.parametrize("ttl", [None, 5 * 365 * DAY, 100 * 365 * DAY])
def test_what_the_dial_cannot_tell_is_for_ever(ttl):
    assert seconds_left(term_of(ttl, NOW).flags, NOW) is None


@given(now=st.floats(1_500_000_000, 2_000_000_000), ttl=st.floats(0, 4 * 365 * DAY), later=st.floats(0, 1))
@example(now=DIAL * 12, ttl=0, later=0)
@example(now=DIAL * 12 - 1, ttl=1, later=0)
def test_what_is_left_is_what_was_asked_less_what_has_passed(now, ttl, later):
    flags, _ = term_of(ttl, now)
    # The first two seconds of the dial stand for its third.
    assert seconds_left(flags, now + later) == pytest.approx(max(ttl - later, 0), abs=2.1)


@given(now=TIMES, ttl=st.none() | st.floats(0, 10 * 365 * DAY))
def test_flags_are_ours_and_do_not_say_that_the_data_are_compressed(now, ttl):
    flags, _ = term_of(ttl, now)
    assert not is_foreign(Item(b"", flags))
    assert flags < 2**32
    assert not flags & 8


def test_a_term_that_is_passed_on_does_not_grow():
    flags, expiry = first = term_of(60, NOW)
    for _ in range(100):
        flags, expiry = term_of(seconds_left(flags, NOW + 0.01), NOW + 0.01)
    assert (flags, expiry) == first


@pytest.mark.parametrize("late", [0.0, 0.4, 1.9, 3600.0])
def test_an_item_past_its_end_that_is_written_again_ends_with_the_next_tick(late):
    flags, _ = term_of(5, NOW)
    left = seconds_left(flags, NOW + 5 + late)
    assert 0 < left < 0.001
    again = term_of(left, NOW + 5 + late)
    assert again.expiry == 1
    assert seconds_left(again.flags, NOW + 5 + late + 0.1) == left


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63), 2**63, 2**64, -(2**64), 10**30])
def test_an_int_of_any_size_comes_back(number):
    assert unpack(pack(number, 99)) == number


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1])
def test_an_int_beyond_64_bits_is_nothing_that_memcached_counts_on(number):
    assert not pack(number, 99).data.lstrip(b"-").isdigit()


@pytest.mark.parametrize("data", [b"", b"i", b"i5x", b"i--5", b"007", b"text", b"\xca\x50\x01"])
def test_other_bytes_of_ours_come_back_as_they_are(data):
    assert unpack(Item(data, 99)) == data


@pytest.mark.parametrize(
    ("item", "stored"),
    [
        (Item(b"41", 2), 41),
        (Item(b"41", 4), 41),
        (Item(b"9 ", 2), 9),
        (Item(b"-3", 2), -3),
        (Item(b"41", 0), b"\x0041"),
        (Item(b"i41", 2), b"\x02i41"),
        (Item(b"41", 16), b"\x1041"),
        (Item(b"\x80\x05N.", 1), b"\x01\x80\x05N."),
        (Item(b"\xca\x50\x01", 0), b"\x00\xca\x50\x01"),
    ],
)
def test_a_foreign_item_is_an_int_or_bytes_that_are_no_record(item, stored):
    assert unpack(item) == stored
