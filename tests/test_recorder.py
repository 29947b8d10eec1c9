import asyncio
import gc
from contextlib import suppress
from contextvars import copy_context

import pytest
from asgiref.sync import sync_to_async

from cacheplus.recorder import current, meet_stamps, meet_tags, recording

HERE, THERE = "here", "there"


class Response:
    """Something that is rendered later."""


def test_outside_of_a_computation_nothing_is_collected():
    meet_tags(["tag"])
    meet_stamps(HERE, {"tag": b"1"})
    assert current() is None


def test_what_is_met_is_told_apart_by_what_is_known_of_it():
    with recording() as recorder:
        meet_stamps(HERE, {"a": b"1"})
        meet_stamps(HERE, {"b": b"2"})
        meet_tags(["c", "d"])
    assert recorder.split(HERE) == ({"a": b"1", "b": b"2"}, {"c", "d"})


def test_the_tokens_of_another_space_count_as_late_tags_here():
    with recording() as recorder:
        meet_stamps(HERE, {"a": b"1"})
        meet_stamps(THERE, {"b": b"2"})
        meet_tags(["c"])
    assert recorder.split(HERE) == ({"a": b"1"}, {"b", "c"})
    assert recorder.split(THERE) == ({"b": b"2"}, {"a", "c"})
    assert recorder.split("elsewhere") == ({}, {"a", "b", "c"})


def test_what_is_nested_hands_outward_what_it_met():
    with recording() as outer:
        meet_tags(["before"])
        with recording() as inner:
            meet_stamps(HERE, {"a": b"1"})
            meet_tags(["inside"])
        meet_tags(["after"])
    assert inner.split(HERE) == ({"a": b"1"}, {"inside"})
    assert outer.split(HERE) == ({"a": b"1"}, {"before", "inside", "after"})
    assert current() is None


def test_what_was_met_before_an_error_goes_outward_too():
    with recording() as outer:
        with suppress(KeyError), recording():
            meet_tags(["inside"])
            raise KeyError
        assert current() is outer
    assert outer.split(HERE) == ({}, {"inside"})


@pytest.mark.parametrize("where", ["same", "inner first", "inner last"])
def test_a_tag_met_with_two_tokens_makes_the_whole_torn(where):
    with recording() as outer:
        if where != "inner first":
            meet_stamps(HERE, {"a": b"1"})
        if where == "same":
            meet_stamps(HERE, {"a": b"2"})
        else:
            with recording() as inner:
                meet_stamps(HERE, {"a": b"2"})
            assert not inner.torn
        if where == "inner first":
            meet_stamps(HERE, {"a": b"1"})
    assert outer.torn


def test_a_torn_inner_computation_makes_the_outer_one_torn():
    with recording() as outer, recording():
        meet_stamps(HERE, {"a": b"1"})
        meet_stamps(HERE, {"a": b"2"})
    assert outer.torn


def test_one_token_met_twice_or_in_two_spaces_is_whole():
    with recording() as recorder:
        meet_stamps(HERE, {"a": b"1"})
        meet_stamps(HERE, {"a": b"1"})
        meet_stamps(THERE, {"a": b"2"})
    assert not recorder.torn


async def test_tasks_do_not_mix_and_threads_are_followed():
    async def work(tag):
        with recording() as recorder:
            await asyncio.sleep(0)
            await sync_to_async(meet_tags, thread_sensitive=False)([f"{tag} in a thread"])
            await asyncio.sleep(0)
            meet_tags([tag])
        return recorder.tags

    assert await asyncio.gather(work("a"), work("b")) == [{"a", "a in a thread"}, {"b", "b in a thread"}]


async def test_what_a_task_of_the_computation_meets_belongs_to_it():
    async def work():
        meet_tags(["tag"])

    with recording() as recorder:
        await asyncio.gather(work(), work())
    assert recorder.tags == {"tag"}


class TestHold:
    """For a response that is rendered after its view has returned."""

    def test_goes_on_until_release(self):
        copy_context().run(self._goes_on_until_release)

    def _goes_on_until_release(self):
        response = Response()
        with recording() as outer:
            with recording() as inner:
                meet_tags(["view"])
            inner.hold(response)
            meet_tags(["render"])
            inner.release()
            meet_tags(["after"])
        assert inner.tags == {"view", "render"}
        assert outer.tags == {"view", "render", "after"}

    def test_ends_with_a_response_that_is_never_rendered(self):
        copy_context().run(self._ends_with_a_response_that_is_never_rendered)

    def _ends_with_a_response_that_is_never_rendered(self):
        response = Response()
        with recording() as recorder:
            meet_tags(["view"])
        recorder.hold(response)
        assert current() is recorder
        del response
        gc.collect()
        assert current() is None
        meet_tags(["of somebody else"])
        assert recorder.tags == {"view"}

    def test_of_a_lost_response_does_not_hide_what_encloses_it(self):
        copy_context().run(self._of_a_lost_response_does_not_hide_what_encloses_it)

    def _of_a_lost_response_does_not_hide_what_encloses_it(self):
        response = Response()
        with recording() as outer:
            with recording() as inner:
                meet_tags(["view"])
            inner.hold(response)
            del response
            gc.collect()
            meet_tags(["after"])
        assert outer.tags == {"view", "after"}
