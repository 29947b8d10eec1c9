"""Forks, signals and cancelled tasks never let one caller have the reply to another."""

import pytest

from tests.faults import processes
from tests.faults.stores import ALL, SERVERS


@pytest.mark.parametrize("store", ALL)
def test_forked_children_use_what_their_parent_opened(store):
    processes.forks.hold(store)


@pytest.mark.parametrize("store", SERVERS)
class TestAbandonedReplies:
    def test_a_signal_between_request_and_reply_leaves_no_reply_to_the_next_call(self, store):
        processes.interrupts.hold(store)

    def test_a_cancelled_task_leaves_no_reply_to_the_next_one(self, store):
        processes.cancelled.hold(store)

    def test_coroutines_wait_beside_each_other_for_a_server_that_hangs(self, store):
        processes.hanging_coroutines.hold(store)
