"""Keys, values and headers without bounds."""

import pytest

from tests.faults import limits
from tests.faults.stores import ALL


@pytest.mark.parametrize("store", ALL)
class TestLimits:
    def test_keys_with_any_character_are_stored_and_distinct(self, store):
        limits.odd_keys.hold(store)

    def test_a_value_over_the_limit_leaves_no_older_one(self, store):
        limits.large_values.hold(store)


@pytest.mark.parametrize("store", limits.messages.stores)
def test_messages_hold_no_key_no_password_and_no_raw_newline(store):
    limits.messages.hold(store)


def test_no_header_of_a_view_breaks_a_page_or_is_stored_against_its_will():
    limits.fuzzed_headers.hold("locmem")
