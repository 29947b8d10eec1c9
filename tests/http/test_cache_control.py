from __future__ import annotations

import pytest

from cacheplus.http.cache_control import CacheControl
from cacheplus.http.headers import MAX_SECONDS


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], CacheControl(), id="absent"),
        pytest.param([""], CacheControl(), id="empty"),
        pytest.param([" , ,\t"], CacheControl(), id="rfc9110-5.6.1-empty-members"),
        pytest.param(["max-age=60"], CacheControl(max_age=60), id="rfc9111-5.2.2.1-max-age"),
        pytest.param(["MaX-aGe=60,NO-STORE"], CacheControl(max_age=60, no_store=True), id="rfc9111-5.2-any-case"),
        pytest.param(["foo, max-age=60;"], CacheControl(broken=True), id="semicolon"),
        pytest.param(["foobar, x=y, max-age=60"], CacheControl(max_age=60), id="rfc9111-5.2.3-unknown-directives"),
        pytest.param(["s-maxage=1", "max-age=2"], CacheControl(s_maxage=1, max_age=2), id="several-lines"),
        pytest.param(["max-age=1800, max-age=1"], CacheControl(max_age=1), id="rfc9111-4.2.1-least-of-two"),
        pytest.param(["max-age=1", "max-age=1800"], CacheControl(max_age=1), id="rfc9111-4.2.1-least-of-two-lines"),
        pytest.param(['max-age="3600"'], CacheControl(max_age=3600), id="rfc9111-5.2-quoted-number"),
        pytest.param(['x="max-age=9", max-age=1'], CacheControl(max_age=1), id="rfc9111-5.2-quoted-is-no-directive"),
        pytest.param(['max-age=1, x="a\\",max-age=0,\\""'], CacheControl(max_age=1), id="rfc9110-5.6.4-escaped-quote"),
        pytest.param(["max-age=99999999999"], CacheControl(max_age=MAX_SECONDS), id="rfc9111-1.2.2-overflow"),
        *(
            pytest.param([f"max-age={text}"], CacheControl(max_age=0), id=f"rfc9111-4.2.1-unreadable-{text}")
            for text in ("abc", "-3600", "3600.0", "3600a", "'3600'", "", '""', '" 60"', '"60.5"')
        ),
        pytest.param(["max-age"], CacheControl(max_age=0), id="rfc9111-4.2.1-number-missing"),
        pytest.param(['private="Set-Cookie"'], CacheControl(private=True), id="rfc9111-5.2.2.7-qualified-private"),
        pytest.param(["no-cache=Set-Cookie"], CacheControl(no_cache=True), id="rfc9111-5.2.2.4-qualified-no-cache"),
        pytest.param(["PRIVATE"], CacheControl(private=True), id="case-CVE-2026-8404"),
        pytest.param(["nopublic, xno-store"], CacheControl(), id="exact-names"),
        pytest.param(['public="x", must-understand=1'], CacheControl(), id="a-permission-with-an-argument-is-none"),
        pytest.param(["must-understand, public"], CacheControl(must_understand=True, public=True), id="permissions"),
        pytest.param(["max-stale"], CacheControl(max_stale=MAX_SECONDS), id="rfc9111-5.2.1.2-max-stale-without-limit"),
        pytest.param(
            ["only-if-cached, min-fresh=5, max-stale=7"],
            CacheControl(only_if_cached=True, min_fresh=5, max_stale=7),
            id="rfc9111-5.2.1-request-directives",
        ),
        pytest.param(
            ["stale-while-revalidate=5, stale-if-error=x"],
            CacheControl(stale_while_revalidate=5, stale_if_error=0),
            id="rfc5861",
        ),
    ],
)
def test_parse(values, expected):
    assert CacheControl.parse(*values) == expected


@pytest.mark.parametrize(
    "value",
    [
        "no-stor\xe9",
        "=?utf-8?b?bm8tc3RvcmUsIMOp?=",
        'no-store="',
        'x="unclosed, no-store',
        "max-age =60",
        "max-age= 60",
        "no-store no-cache",
        '"60"',
        "=60",
        "x=a=b",
        "no-store\n",
        "no-store\x00",
        "max-age=60; private",
        'x="a" b',
        'x="é"',
    ],
)
@pytest.mark.parametrize("form", ["{}", "max-age=60, {}", "{}, max-age=60"])
def test_what_is_not_well_formed_is_broken(value, form):
    assert CacheControl.parse(form.format(value)).broken


def test_flaw_on_one_line_breaks_the_whole():
    control = CacheControl.parse("a b", "max-age=60")
    assert control == CacheControl(max_age=60, broken=True)


@pytest.mark.parametrize(
    ("value", "forbidden"),
    [
        ("max-age=1", False),
        ("must-revalidate", True),
        ("proxy-revalidate", True),
        ("no-cache", True),
        pytest.param("s-maxage=1", True, id="rfc9111-5.2.2.10"),
    ],
)
def test_what_forbids_stale(value, forbidden):
    """RFC 9111 §4.2.4."""
    assert CacheControl.parse(value).forbids_stale is forbidden


@pytest.mark.parametrize("value", [" " * 200_000 + "?!(", "a," * 100_000 + "(", 'x="' + "\\" * 200_001, "=" * 200_000])
def test_hostile_value_costs_no_more_than_its_length(value):
    assert CacheControl.parse(value).broken
