"""Each known problem, over Django's page cache and over ours: which of them Django still has, and that we have none.

The table says what the installed Django does, so that a probe which could not find its problem fails here.
"""

from __future__ import annotations

import pytest

from tests.leaks import probes
from tests.leaks.shells import DJANGO, OURS, SITE, VIEW

NOWHERE: frozenset[str] = frozenset()
EVERYWHERE = frozenset({SITE, VIEW})

# The problem, its probe, and where Django has it.
KNOWN = {
    "CVE-2026-6907 Vary with a star": (probes.vary_star("*"), NOWHERE),
    "CVE-2026-48587 Vary with a star and spaces": (probes.vary_star("Accept,  * "), NOWHERE),
    "CVE-2026-35192 session saved on every request": (probes.session_fixation, NOWHERE),
    "CVE-2026-8404 case of private": (probes.private("Private"), NOWHERE),
    "CVE-2026-8404 private with fields": (probes.private('PRIVATE="Set-Cookie"'), NOWHERE),
    "CVE-2026-8404 case of no-store": (probes.private("No-Store"), NOWHERE),
    "CVE-2026-35193 Authorization": (probes.authorization, NOWHERE),
    "CVE-2026-48588 cookie of a page that varies on cookies": (probes.own_cookie, NOWHERE),
    "CVE-2026-113593 absent and empty header": (probes.absent_header, NOWHERE),
    "CVE-2020-13254 characters in keys": (probes.unsafe_key, NOWHERE),
    "CVE-2011-4139 foreign Host": (probes.foreign_host, NOWHERE),
    "CVE-2021-23336 query separator": (probes.query_separator, NOWHERE),
    "CVE-2014-1418 session, per site": (probes.session_per_site, NOWHERE),
    "S1 session": (probes.session, frozenset({VIEW})),
    "S2 CSRF token": (probes.csrf_token, frozenset({VIEW})),
    "S6 Set-Cookie": (probes.set_cookie, EVERYWHERE),
    "S7 X-Api-Key": (probes.api_key, EVERYWHERE),
    "S7 REMOTE_USER": (probes.remote_user, EVERYWHERE),
    "S8 X-Forwarded-Host": (probes.forwarded_host, EVERYWHERE),
    "S9 body": (probes.body, EVERYWHERE),
    "S10 Content-Type": (probes.content_type, EVERYWHERE),
    "S11 Accept-Language without LocaleMiddleware": (probes.language, EVERYWHERE),
    "S12 Expires in the past": (probes.expired, frozenset({SITE})),
    "S12 s-maxage=0": (probes.lifetime(Cache_Control="s-maxage=0"), EVERYWHERE),
    "S13 max-age=abc": (probes.odd_cache_control("max-age=abc"), EVERYWHERE),
    "S13 max-age quoted": (probes.odd_cache_control('max-age="60"'), EVERYWHERE),
    "S13 max-age empty": (probes.odd_cache_control("max-age="), EVERYWHERE),
    "S13 max-age=1.5": (probes.odd_cache_control("max-age=1.5"), EVERYWHERE),
    "S13 max-age too large": (probes.odd_cache_control("max-age=" + "9" * 40), frozenset({SITE})),
    "S13 no-store behind a letter that is not ASCII": (probes.private("x=ж, no-store"), EVERYWHERE),
    "S14 attribute that cannot be pickled": (probes.unpicklable, EVERYWHERE),
    "S15 time zone with a space": (probes.zone_with_space, EVERYWHERE),
    "S26 flood of queries": (probes.flood, EVERYWHERE),
    "S26 flood of headers": (probes.header_flood, EVERYWHERE),
}


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("shell", DJANGO, ids=lambda shell: shell.name)
def test_django_has_it_or_not(known, shell):
    probe, where = KNOWN[known]
    assert probe(shell) is (shell.name in where)


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("shell", OURS, ids=lambda shell: shell.name)
def test_we_do_not_have_it(known, shell):
    probe, _ = KNOWN[known]
    assert probe(shell) is False
