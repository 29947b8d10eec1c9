"""Where a call to the system fails, the cache call is a miss, and what it was to end is not read."""

import pytest

from tests.faults import lowlevel


@pytest.mark.parametrize("store", lowlevel.WAYS)
def test_no_call_to_the_system_that_fails_is_more_than_a_miss(store):
    lowlevel.nth_call_fails.hold(store)
