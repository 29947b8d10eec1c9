"""Settings: the only module that reads `django.conf.settings`.

`conf()` returns the values of `CACHEPLUS` as one frozen, typed object; the functions at the end read Django's own
settings. A key of `CACHEPLUS` is one field of :class:`Conf`: its default, its rule and its meaning stand together, and
the run time and the system check judge it by that same rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from cacheplus import conf_rules
from cacheplus.http.rules import Lifetimes, field_names, lifetimes, seconds, seconds_or_none


def _key(default: Any, rule: conf_rules.Rule, doc: str) -> Any:
    return field(default=default, metadata={"rule": rule, "doc": doc})


# What advertisers and mailers add to links.
_TRACKING_PARAMETERS = (
    "utm_*", "gclid", "gclsrc", "gbraid", "wbraid", "dclid", "gad_source", "gad_campaignid", "srsltid", "_ga", "_gl",
    "fbclid", "msclkid", "twclid", "ttclid", "li_fat_id", "igshid", "igsh", "yclid", "ysclid", "epik", "rdt_cid",
    "mc_cid", "mc_eid", "_hsenc", "_hsmi", "__hssc", "__hstc", "__hsfp", "hsCtaTracking", "mkt_tok", "vero_id",
    "_openstat", "pk_*", "mtm_*", "matomo_*", "_kx", "oly_anon_id", "oly_enc_id", "s_cid", "ml_subscriber*",
)  # fmt: skip

# What scripts in the page set for themselves. No view has a use for them.
_ANALYTICS_COOKIES = (
    "_ga", "_ga_*", "_gid", "_gat", "_gat_*", "_gac_*", "_gcl_*", "__utm*", "__gads", "__gpi", "__eoi", "_fbp", "_fbc",
    "_pk_*", "_hj*", "_clck", "_clsk", "_uet*", "_tt_*", "_ttp", "_scid*", "_pin_unauth", "_rdt_uuid", "_ym_*",
    "__hs*", "hubspotutk", "ajs_*", "amp_*", "AMP_*", "mp_*_mixpanel", "ph_*_posthog", "__cf_bm", "_cfuvid",
    "optimizelyEndUserId", "_mkto_trk", "_dd_s", "__qca", "intercom-*", "_vwo_*", "_vis_opt_*", "AMCV_*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conf:
    """The values of `CACHEPLUS`. The key of a field is its name in capitals."""

    ignore_query: tuple[str, ...] = _key(
        _TRACKING_PARAMETERS,
        conf_rules.names,
        "Query parameters that make no difference to a page, as names with `*`: no part of the key, and hidden from "
        "the view.",
    )
    sort_query: bool = _key(
        True,
        conf_rules.boolean,
        "Whether the order of the query parameters makes no difference to a page.",
    )
    ignore_cookies: tuple[str, ...] = _key(
        _ANALYTICS_COOKIES,
        conf_rules.names,
        "Cookies that make no difference to a page, as names with `*`: no part of the key, and hidden from the view.",
    )
    vary_cookies: tuple[str, ...] | None = _key(
        None,
        conf_rules.or_none(conf_rules.names),
        "The only cookies that make a difference to a page, as names with `*`. None: all but IGNORE_COOKIES.",
    )

    store_set_cookie: bool = _key(
        False,
        conf_rules.boolean,
        "Whether the middleware stores a response that sets cookies, and replays them to whoever hits it.",
    )
    share_authenticated: bool = _key(
        False,
        conf_rules.boolean,
        "Whether a page that used the session or the user is shared, one copy for each `Cookie` header it varies on.",
    )
    credentials: tuple[str, ...] = _key(
        (
            "Authorization",
            "Proxy-Authorization",
            "X-Api-Key",
            "X-Auth-Token",
            "X-Forwarded-User",
            "X-Remote-User",
            "X-Auth-Request-User",
            "X-Amzn-Oidc-Data",
            "X-Goog-Iap-Jwt-Assertion",
            "X-Ms-Client-Principal",
            "Cf-Access-Jwt-Assertion",
            "REMOTE_USER",
            "SSL_CLIENT_S_DN",
        ),
        conf_rules.meta_keys,
        "Headers that mark a request as personal. A name with an underscore is a key of `request.META`.",
    )
    statuses: Mapping[int, float | None] = _key(
        Lifetimes({}),
        lifetimes,
        "Seconds that a response of a status is kept that says nothing itself, by status; None = until it is expired.",
    )
    targeted_fields: tuple[str, ...] = _key(
        ("CDN-Cache-Control",),
        field_names,
        "Response headers that speak to this cache in place of `Cache-Control`, the first one first.",
    )
    heuristic_freshness: bool = _key(
        False,
        conf_rules.boolean,
        "Whether a response that says nothing but `Last-Modified` is kept for a tenth of its age, a day at most.",
    )
    honor_request_directives: bool = _key(
        False,
        conf_rules.boolean,
        "Whether `Cache-Control` and `Pragma` of a request are obeyed, by which any visitor can bypass the cache.",
    )
    stale: float = _key(
        0,
        seconds,
        "Seconds past its lifetime for which a page is served while it is being refreshed.",
    )
    stale_if_error: float = _key(
        0,
        seconds,
        "Seconds past its lifetime for which a page is served in place of an error of its view.",
    )
    client_timeout: float | None = _key(
        None,
        seconds_or_none,
        "Seconds that a client may keep its copy of a page of the middleware. None = as long as it is fresh here.",
    )
    expire_on_unsafe: bool = _key(
        True,
        conf_rules.boolean,
        "Whether a successful POST, PUT, PATCH, DELETE or unknown method expires the pages of its own path, and of the "
        "path in `Location` and `Content-Location`.",
    )
    key_headers: tuple[str, ...] = _key(
        (
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
            "X-Forwarded-Scheme",
            "X-Forwarded-Prefix",
            "X-Host",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-HTTP-Method-Override",
        ),
        conf_rules.meta_keys,
        "Headers that are part of the key of every page, because middleware or a view may read them without saying so "
        "in `Vary`. A name with an underscore is a key of `request.META`.",
    )
    cache_status: str | None = _key(
        "auto",
        conf_rules.one_of("auto", "detail", "plain", None),
        'The `Cache-Status` header: "detail" gives reasons, "plain" gives none, "auto" gives them under `DEBUG`, None '
        "sends no header.",
    )
    codings: tuple[str, ...] | None = _key(
        None,
        conf_rules.or_none(conf_rules.names),
        "The content codings that the site produces; the key of a page that varies on `Accept-Encoding` knows no "
        "others. None: gzip where Django's GZipMiddleware is used, else br, deflate, gzip and zstd.",
    )
    max_variants: int = _key(
        64,
        conf_rules.count,
        "How many pages are kept of one URL for different values of the headers that its `Vary` names.",
    )
    max_queries: int = _key(
        256,
        conf_rules.count,
        "How many pages are kept of one path for all of its query strings.",
    )
    prefix_depth: int = _key(
        3,
        conf_rules.count,
        "How many levels above a page `expire_view_cache(path, prefix=True)` can be called and still reach it.",
    )
    exact_fragment_keys: bool = _key(
        False,
        conf_rules.boolean,
        "Whether fragments are told apart by the types of their arguments; else by their text alone, as in Django.",
    )
    max_without_cache: int | None = _key(
        None,
        conf_rules.or_none(conf_rules.count),
        "How many pages a process makes at a time while their cache fails. What comes then is answered with 503.",
    )
    flight_lease: float = _key(
        30,
        conf_rules.seconds,
        "Seconds after which a computation that has not ended may be begun by another process.",
    )
    flight_wait: float = _key(
        5,
        conf_rules.wait,
        "Seconds for which one waits at most for what another computes. Then one computes as well; 0 never waits.",
    )
    track_tables: conf_rules.TrackedTables | None = _key(  # noqa: RUF009 - as all others
        False,
        conf_rules.tracked_tables,
        "Whether pages, fragments and computed values expire when a table that they were made from is written.",
    )
    cache_table_database: str | None = _key(
        None,
        conf_rules.database,
        "The database of the cache tables, for `CacheRouter`. None leaves them to the next router.",
    )
    cache_table_replica: str | None = _key(
        None,
        conf_rules.database,
        "The database from which the cache tables are read, for `CacheRouter`. None reads where they are written.",
    )


class Problem(NamedTuple):
    """Something wrong with one key of `CACHEPLUS`, and the way out."""

    message: str
    hint: str


_FIELDS = {each.name.upper(): each for each in fields(Conf)}


def conf() -> Conf:
    """The values of `CACHEPLUS`, parsed once per dict, so that `override_settings` is seen at once.

    Raises ImproperlyConfigured where a value is bad. An unknown key is left to the system check: a settings file that
    was written for a newer version does not stop an older one.
    """
    given = getattr(settings, "CACHEPLUS", None)
    source, current = _memo[0]
    if given is not source:
        current = _parse(given)
        _memo[0] = (given, current)
    return current


def _parse(given: Any) -> Conf:
    if problems := list(bad_values(given)):
        raise ImproperlyConfigured(" ".join(f"{message} {hint}" for message, hint in problems))
    values = given or {}
    return Conf(**{each.name: _kept(each, values.get(key, each.default)) for key, each in _FIELDS.items()})


def _kept(each: Any, value: Any) -> Any:
    return each.metadata["rule"](value)


def bad_values(given: Any) -> Iterator[Problem]:
    """What is wrong with the values of `given`, the `CACHEPLUS` of a site (None where it has none)."""
    if given is not None and not isinstance(given, Mapping):
        yield Problem(f"CACHEPLUS is {type(given).__name__}, not a dict.", "Make it a dict, or leave it out.")
        return
    for key, value in (given or {}).items():
        if key in _FIELDS:
            try:
                _kept(_FIELDS[key], value)
            except ValueError as expected:
                hint = f"Make it {expected}; the default is {_FIELDS[key].default!r}."
                yield Problem(f"CACHEPLUS[{key!r}] is {value!r}.", hint)


def unknown_keys(given: Any) -> Iterator[Problem]:
    """The keys of `given` that no version of this app knows, each with the nearest one that it does."""
    for key in given if isinstance(given, Mapping) else ():
        if key not in _FIELDS:
            nearest = get_close_matches(str(key).upper(), _FIELDS, n=1)
            hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Known keys: {', '.join(_FIELDS)}."
            yield Problem(f"CACHEPLUS has an unknown key {key!r}.", hint)


_memo: list[tuple[Any, Conf]] = [(None, _parse(None))]


def setting(name: str, default: Any = None) -> Any:
    """One of Django's settings, or `default` where the site has none."""
    return getattr(settings, name, default)


def page_alias() -> str:
    """The alias that the middleware stores pages in (`CACHE_MIDDLEWARE_ALIAS`)."""
    return str(settings.CACHE_MIDDLEWARE_ALIAS)


def page_seconds() -> float | None:
    """Seconds a page is kept that says nothing itself; None = only what says how long (`CACHE_MIDDLEWARE_SECONDS`)."""
    seconds: float | None = settings.CACHE_MIDDLEWARE_SECONDS
    return seconds


def page_key_prefix() -> str:
    """What the keys of the middleware's pages begin with (`CACHE_MIDDLEWARE_KEY_PREFIX`)."""
    return str(settings.CACHE_MIDDLEWARE_KEY_PREFIX)


def pages_anonymous_only() -> bool:
    """Whether the middleware keeps away from logged-in users (`CACHE_MIDDLEWARE_ANONYMOUS_ONLY`, gone from Django)."""
    return bool(setting("CACHE_MIDDLEWARE_ANONYMOUS_ONLY", default=False))


def secret_keys() -> tuple[str | bytes, ...]:
    """The key to sign with, then those that are still accepted (`SECRET_KEY`, `SECRET_KEY_FALLBACKS`)."""
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def uses_i18n() -> bool:
    """Whether translations are on (`USE_I18N`)."""
    return bool(settings.USE_I18N)


def uses_tz() -> bool:
    """Whether datetimes are aware (`USE_TZ`)."""
    return bool(settings.USE_TZ)


def is_debug() -> bool:
    """Whether the site runs under `DEBUG`."""
    return bool(settings.DEBUG)
