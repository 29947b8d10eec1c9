"""A writer that was cut off: what it ended meanwhile stays ended, for itself and for others."""

import pytest

from tests.faults import partitions
from tests.faults.stores import SERVERS


@pytest.mark.parametrize("store", SERVERS)
class TestPartitions:
    def test_what_was_ended_in_a_partition_is_not_read_once_it_has_healed(self, store):
        partitions.healed_partition.hold(store)

    def test_a_page_that_was_expired_in_a_partition_is_not_served_once_it_has_healed(self, store):
        partitions.healed_pages.hold(store)


@pytest.mark.parametrize("store", ["pymemcache", "pylibmc"])
def test_a_node_that_comes_back_brings_no_old_value(store):
    partitions.node_back.hold(store)
