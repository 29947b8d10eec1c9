"""Faults that change all the time."""

import pytest

from tests.faults import changing
from tests.faults.stores import SERVERS


@pytest.mark.parametrize("store", SERVERS)
def test_faults_that_change_all_the_time_raise_nothing_and_leave_nothing_behind(store):
    changing.changing_faults.hold(store)
