"""When a store is left alone, and how soon it is looked at again."""

from itertools import islice, product

import pytest

from cacheplus.breaker import Breaker, pauses


def opened(*seconds, now=100.0):
    breaker = Breaker()
    for each in seconds:
        breaker.failed("TimeoutError", each, now)
    return breaker


@pytest.mark.parametrize("seconds", [(0.0, 0.0, 0.0), (0.5,), (0.25, 0.25), (5.0,)])
def test_three_faults_or_half_a_second_of_waiting_are_enough(seconds):
    assert opened(*seconds).opening == ("TimeoutError", len(seconds), sum(seconds), 100.0)


@pytest.mark.parametrize("seconds", [(), (0.0, 0.0), (0.25,), (0.2, 0.2)])
def test_a_hiccup_is_not(seconds):
    assert opened(*seconds).opening is None


def test_a_request_loses_no_more_than_a_second():
    # What a call can wait for: nothing, a connection, an answer, or both.
    waits = (0.0, 0.25, 0.5, 0.75)
    for calls in product(waits, repeat=3):
        breaker, lost = Breaker(), 0.0
        for seconds in calls:
            if breaker.opening is None:
                lost += seconds
                breaker.failed("TimeoutError", seconds, 0.0)
        assert lost <= 1.0


def test_an_answer_in_between_begins_the_count_anew():
    breaker = opened(0.1, 0.1)
    assert breaker.is_strained
    assert breaker.answered(101.0) is None
    assert not breaker.is_strained
    breaker.failed("TimeoutError", 0.1, 102.0)
    breaker.failed("TimeoutError", 0.1, 102.0)
    assert breaker.opening is None


def test_it_opens_once_and_tells_who_opened_it():
    breaker = Breaker()
    assert [breaker.failed("OSError", 0.0, 1.0) for _ in range(5)] == [False, False, True, False, False]
    opening = breaker.opening
    assert opening.faults == 3
    assert breaker.answered(2.0) is opening
    assert breaker.answered(2.0) is None


def test_a_store_that_soon_fails_again_is_not_looked_at_in_haste():
    breaker = opened(1.0, now=100.0)
    assert not breaker.is_relapse()
    breaker.answered(101.0)
    breaker.failed("OSError", 1.0, 105.0)
    assert breaker.is_relapse()
    breaker.answered(106.0)
    assert not breaker.is_relapse()
    breaker.failed("OSError", 1.0, 130.0)
    assert not breaker.is_relapse()


def test_the_first_looks_come_soon_and_then_one_each_second():
    assert list(islice(pauses(in_haste=True), 7)) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1, 1, 1])
    assert list(islice(pauses(in_haste=False), 3)) == [1, 1, 1]
