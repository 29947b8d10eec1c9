from __future__ import annotations

import re

from cacheplus.http.reasons import Reason


def test_every_reason_is_a_token():
    """RFC 9211 §2.8: so that it needs no quotes in Cache-Status."""
    for reason in Reason:
        assert re.fullmatch("[a-z]+(-[a-z]+)*", reason)


def test_every_reason_is_explained_in_a_sentence_of_its_own():
    explanations = {reason.explanation for reason in Reason}
    assert len(explanations) == len(Reason)
    for explanation in explanations:
        assert re.fullmatch(r"[A-Z].*[^.]\.", explanation)


def test_reason_reads_as_its_token():
    assert f"{Reason.SET_COOKIE}" == Reason("set-cookie") == "set-cookie"
