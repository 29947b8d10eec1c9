"""What a site may write as a rule."""

from __future__ import annotations

import pytest

from cacheplus.http.rules import field_names, lifetimes, seconds, seconds_or_none


@pytest.mark.parametrize("value", [0, 5, 0.5])
def test_seconds_are_kept(value):
    assert seconds(value) == seconds_or_none(value) == value


def test_no_seconds_are_none():
    assert seconds_or_none(None) is None


@pytest.mark.parametrize("value", [-1, True, "5", float("inf"), float("nan"), [5]])
def test_other_seconds_are_refused(value):
    for rule, way_out in (
        (seconds, "a number of seconds, 0 or more"),
        (seconds_or_none, "None or a number of seconds"),
    ):
        with pytest.raises(ValueError, match=f"^{way_out}"):
            rule(value)


def test_lifetimes_are_kept_and_cannot_be_changed():
    kept = lifetimes({404: 30, 301: None})
    assert kept == {404: 30, 301: None}
    assert hash(kept) == hash(lifetimes({301: None, 404: 30}))
    assert repr(kept) == "{404: 30, 301: None}"
    with pytest.raises(TypeError):
        kept[200] = 5


@pytest.mark.parametrize("value", [None, [404], {"404": 30}, {99: 30}, {600: 30}, {404: -1}, {404: "30"}, {True: 3}])
def test_other_lifetimes_are_refused(value):
    with pytest.raises(ValueError, match=r"^a dict from status to seconds"):
        lifetimes(value)


def test_names_are_kept_in_order():
    assert field_names(["CDN-Cache-Control", "Mine"]) == ("CDN-Cache-Control", "Mine")
    assert field_names(()) == ()


@pytest.mark.parametrize("value", [None, "CDN-Cache-Control", ["a b"], [""], [5], {"a": 1}])
def test_other_names_are_refused(value):
    with pytest.raises(ValueError, match="a list of header names"):
        field_names(value)
