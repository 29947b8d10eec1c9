import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplus.backends.db_rows import (
    EXACT,
    LONGEST_KEY,
    LONGEST_PREFIX,
    column_key,
    from_text,
    readable_under,
    to_text,
)
from cacheplus.store import SERVICE_MARK

LOWER = readable_under("utf8mb4_general_ci")
PADDED = readable_under("utf8mb4_bin")
NEVER = readable_under("utf8mb4_lithuanian_ci")

NAMES = st.text(st.characters(codec=None), max_size=300)


@pytest.mark.parametrize(
    ("collation", "names"),
    [
        ("utf8mb4_0900_bin", EXACT),
        ("utf8mb4_nopad_bin", EXACT),
        ("binary", EXACT),
        ("utf8mb4_bin", PADDED),
        ("utf8mb3_bin", PADDED),
        ("utf8mb4_general_ci", LOWER),
        ("utf8_unicode_ci", LOWER),
        ("utf8mb4_unicode_520_nopad_ci", LOWER),
        ("utf8mb4_0900_ai_ci", LOWER),
        ("utf8mb4_uca1400_ai_ci", LOWER),
        ("uca1400_ai_ci", LOWER),
        ("utf8mb4_swedish_ci", NEVER),
        ("utf8mb4_de_pb_0900_ai_ci", NEVER),
        ("latin1_swedish_ci", NEVER),
    ],
)
def test_a_collation_decides_which_names_are_readable(collation, names):
    assert readable_under(collation) is names


@pytest.mark.parametrize(
    ("readable", "name"),
    [
        (EXACT, ":1:Key with é and a space "),
        (EXACT, "x" * LONGEST_KEY),
        (EXACT, ":1:~not a digest"),
        (PADDED, ":1:Key with é"),
        (LOWER, ":1:django.contrib.sessions.cache0123456789abcdef"),
        (LOWER, ":0:cacheplus.service.tag.0123456789abcdef"),
    ],
)
def test_a_name_that_a_column_tells_apart_stands_in_it_as_it_is(readable, name):
    assert column_key(name, "", readable) == name


@pytest.mark.parametrize(
    ("readable", "name"),
    [
        (EXACT, ":1:" + "x" * LONGEST_KEY),
        (EXACT, ":1:nul\x00"),
        (EXACT, ":1:half a \ud800 pair"),
        (EXACT, ":1:~" + "0" * 64),
        (PADDED, ":1:key "),
        (LOWER, ":1:Key"),
        (LOWER, ":1:é"),
        (LOWER, ":1:key "),
        (LOWER, ":1:tab\t."),
        (NEVER, ":1:key"),
    ],
)
def test_any_other_name_is_digested_below_its_prefix_and_version(readable, name):
    key = column_key(name, "", readable)
    assert key.startswith(":1:~")
    assert key != name
    assert readable_under("utf8mb4_general_ci").fullmatch(key)


def test_the_prefix_of_a_digested_name_stays_readable():
    assert column_key("Site:a:12:Key", "Site:a", LOWER).startswith("Site:a:12:~")
    assert column_key("key from a function of the site's own\x00", "Site", EXACT).startswith("~")


def test_the_longest_prefix_that_can_be_cleared_fits():
    prefix = "p" * LONGEST_PREFIX
    for name in (f"{prefix}:1:" + "x" * 300, f"{prefix}:1:{SERVICE_MARK}" + "x" * 300):
        key = column_key(name, prefix, EXACT)
        assert key.startswith(f"{prefix}:1:")
        assert len(key) <= LONGEST_KEY


def test_a_digested_stamp_can_still_be_told_from_a_value():
    key = column_key(f"Site:0:{SERVICE_MARK}tag.0123", "Site", LOWER)
    assert key.startswith(f"Site:0:{SERVICE_MARK}~")


@given(NAMES, NAMES, st.sampled_from([EXACT, PADDED, LOWER, NEVER]))
def test_no_two_names_share_a_key_and_each_can_be_stored(one, other, readable):
    keys = [column_key(name, "", readable) for name in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    assert all(len(key) <= LONGEST_KEY and EXACT.fullmatch(key) for key in keys)
    # Whoever uses a digest as a key does not get what it stands for.
    assert (column_key(keys[0], "", readable) == keys[0]) == (keys[0] == one)


@pytest.mark.parametrize("stored", [b"", b"\xca\x50 record", b"\xcb" + bytes(13), 0, -7, 2**63 - 1], ids=repr)
def test_the_value_column_gives_back_what_was_stored(stored):
    assert from_text(to_text(stored)) == stored


@pytest.mark.parametrize("text", ["%", "a", "YQ", "YQ==YQ==", "Y Q==", "é", "12\n", "\ud800"])
def test_what_is_no_base64_is_handed_on_for_the_codec_to_refuse(text):
    assert from_text(text) == text.encode(errors="surrogatepass")


def test_a_binary_column_is_handed_on_as_it_is():
    assert from_text(b"\xff") == b"\xff"
