"""What a store gives back that this site did not write is a miss, on every store that keeps bytes."""

import pytest

from tests.faults import damage
from tests.faults.stores import BYTES, SERVERS


@pytest.mark.parametrize("store", BYTES)
class TestDamagedEntries:
    def test_a_page_whose_entries_are_damaged_is_rendered_once_and_stored_again(self, store):
        damage.damaged_entries.hold(store)

    def test_no_flipped_bit_of_a_record_makes_a_wrong_value(self, store):
        damage.flipped_records.hold(store)

    def test_a_class_that_is_gone_costs_its_own_key_only(self, store):
        damage.removed_class.hold(store)

    def test_two_releases_with_two_record_versions_share_a_store(self, store):
        damage.two_versions.hold(store)


@pytest.mark.parametrize("store", SERVERS)
def test_flipped_bits_in_replies_are_never_a_value(store):
    damage.flipped_replies.hold(store)
