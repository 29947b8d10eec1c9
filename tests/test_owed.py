"""Which removals are owed, in which order, and when they are settled."""

import pytest

from cacheplus.owed import Owed, Sweep


@pytest.fixture
def owed():
    return Owed(most=3)


def test_the_oldest_comes_first_and_a_fence_before_all(owed):
    owed.owe(["b", "stamp"])
    owed.owe(["fence", "a"], fences={"fence"})
    owed.owe_all("p:")
    assert list(owed.pending()) == ["fence", "b", "stamp", "a", Sweep("p:")]
    assert list(owed.fences()) == ["fence"]
    assert len(owed) == 5


def test_what_is_owed_twice_is_carried_out_once_and_keeps_its_place(owed):
    owed.owe(["a"])
    owed.owe(["b"])
    owed.owe(["a"])
    assert list(owed.pending()) == ["a", "b"]


def test_only_what_is_owed_counts_as_absent(owed):
    owed.owe(["a"])
    assert owed.covers("a")
    assert not owed.covers("ab")
    owed.owe_all("p:")
    assert owed.covers("p:1:anything")
    assert not owed.covers("q:1:anything")


def test_a_claim_settles_what_was_owed_when_it_was_made(owed):
    owed.owe(["a", "b"])
    claims = owed.among(["a", "c"])
    assert list(claims) == ["a"]
    owed.settle(claims)
    assert list(owed.pending()) == ["b"]


def test_a_claim_does_not_settle_what_was_asked_for_since(owed):
    owed.owe(["a"])
    owed.owe_all("p:")
    claims = owed.pending()
    owed.owe(["a"])
    owed.owe_all("p:")
    owed.settle(claims)
    assert list(owed.pending()) == ["a", Sweep("p:")]


def test_of_too_many_names_everything_is_owed_and_the_fence_still_first(owed):
    assert owed.owe(["p:a", "p:b", "q:c", "p:fence"], fences={"p:fence"})
    assert not owed.owe(["p:d"])
    owed.owe_all("p:")
    assert list(owed.pending()) == ["p:fence", "q:c", Sweep("p:")]
    assert owed.covers("p:a")


def test_where_nothing_may_be_swept_the_oldest_are_forgotten():
    owed = Owed(most=10)
    owed.owe(map(str, range(12)))
    # Some more than are too many, so that it does not happen with each name that comes.
    assert owed.forget_oldest() == 3
    assert list(owed.pending()) == list(map(str, range(3, 12)))
    assert owed.forget_oldest() == 0


def test_a_sweep_is_among_the_claims_on_whatever_it_covers(owed):
    owed.owe(["p:a"])
    owed.owe_all("p:")
    assert list(owed.among(["p:b"])) == [Sweep("p:")]
    assert list(owed.among(["q:b"])) == []


@pytest.mark.parametrize(
    ("prefix", "left"),
    [(None, []), ("p:", ["q:a", Sweep(None), Sweep("q:")]), ("p:1:", ["q:a", Sweep("p:"), Sweep(None), Sweep("q:")])],
)
def test_a_clear_settles_what_it_removes(owed, prefix, left):
    owed.owe(["p:1:a", "q:a"])
    for each in ("p:", None, "q:"):
        owed.owe_all(each)
    owed.owe(["p:1:a", "q:a"])
    owed.settle(owed.within(prefix))
    assert list(owed.pending()) == left
