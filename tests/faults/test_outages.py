"""Visitors of a site whose cache server fails: each gets its page, and in time."""

import pytest

from tests.faults import outages
from tests.faults.stores import SERVERS


@pytest.mark.parametrize("store", SERVERS)
class TestOutages:
    def test_no_visitor_sees_that_the_server_was_killed_and_restarted(self, store):
        outages.killed_and_restarted.hold(store)

    def test_a_server_that_was_never_there_costs_next_to_nothing(self, store):
        outages.refused_from_the_start.hold(store)

    def test_a_server_that_is_stopped_costs_one_timeout(self, store):
        outages.stopped.hold(store)

    def test_a_network_that_swallows_everything_costs_one_timeout(self, store):
        outages.swallowed_by_the_network.hold(store)

    def test_a_page_hit_waits_for_two_late_replies_at_most(self, store):
        outages.late_replies.hold(store)

    def test_replies_that_are_reset_cut_or_garbage_are_misses(self, store):
        outages.nonsense.hold(store)


def test_what_redis_refuses_is_told_and_is_no_visitors_concern():
    outages.refusals.hold("redis")
