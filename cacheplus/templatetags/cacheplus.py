"""`{% load cacheplus %}`: Django's `{% cache %}`, with tags."""

from __future__ import annotations

import logging
from copy import copy, deepcopy
from functools import lru_cache
from math import inf
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, InvalidCacheBackendError, caches
from django.core.cache.backends.base import BaseCache
from django.template import Library, Node, TemplateSyntaxError, VariableDoesNotExist
from django.template.base import FilterExpression, NodeList, Parser, Token, Variable
from django.template.context import Context
from django.utils.functional import SimpleLazyObject

from cacheplus import conf
from cacheplus.fragments import Fragment
from cacheplus.tags import tag_names

register = Library()

_FRAGMENTS_ALIAS = "template_fragments"
_KEYWORDS = ("using", "tags", "stale")
# A key of `request.META`, set by Django when somebody asks for the token.
_TOKEN_USED = "CSRF_COOKIE_NEEDS_UPDATE"  # noqa: S105 - no token

logger = logging.getLogger("cacheplus")


class CacheNode(Node):
    """`{% cache timeout name [vary...] [tags=names] [stale=seconds] [using="alias"] %}`.

    The timeout is seconds, None for ever.
    """

    def __init__(
        self,
        nodelist: NodeList,
        timeout: FilterExpression,
        name: str,
        vary_on: list[FilterExpression],
        keywords: dict[str, FilterExpression],
    ) -> None:
        self.nodelist = nodelist
        self.timeout = timeout
        self.fragment_name = name
        self.vary_on = vary_on
        self.keywords = keywords

    def render(self, context: Context) -> str:
        """The fragment, stored or rendered now."""
        timeout = self._timeout(context)
        cache = self._cache(context)
        missing = [str(each) for each in self.vary_on if _is_missing(each, context)]
        fragment = Fragment(
            self.fragment_name,
            [each.resolve(context) for each in self.vary_on],
            self._tags(context),
            exact=conf.conf().exact_fragment_keys,
        )
        if missing:
            _warn_of_missing(_template_of(self), self.fragment_name, missing[0])
            return self._render_now(context)[0]
        stale = self._stale(context)
        # What is rendered later finds what stood here, and not what the template has put there since.
        here = _as_it_is(context) if stale else context
        return fragment.render(cache, timeout, lambda: self._render_now(here), stale)

    def _render_now(self, context: Context) -> tuple[str, bool]:
        """The text, and whether it may be stored: not with a CSRF token in it, which is one visitor's own."""
        meta = getattr(getattr(context, "request", None), "META", {})
        used_before = {name: meta.pop(name) for name in (_TOKEN_USED,) if name in meta}
        token, asked = context.get("csrf_token"), []

        def token_of_this_visitor() -> Any:
            asked.append(True)
            return token

        # It was maybe asked for before, further up on the page, and tells nobody when it is asked for again.
        watched = {} if token is None else {"csrf_token": SimpleLazyObject(token_of_this_visitor)}
        with context.push(**watched):
            text = self.nodelist.render(context)
        has_token = bool(asked) or _TOKEN_USED in meta
        meta.update({**used_before, **({_TOKEN_USED: True} if has_token and meta else {})})
        if has_token:
            _warn_of_token(_template_of(self), self.fragment_name)
        return text, not has_token

    def _timeout(self, context: Context) -> int | None:
        timeout = _resolve(self.timeout, context)
        if timeout is None:
            return None
        try:
            return int(timeout)
        except (ValueError, TypeError) as error:
            raise TemplateSyntaxError(f'"cache" tag got a non-integer timeout value: {timeout!r}') from error

    def _stale(self, context: Context) -> float:
        stale = _resolve(self.keywords["stale"], context) if "stale" in self.keywords else 0
        try:
            seconds = float(stale)
        except (ValueError, TypeError):
            seconds = -1
        if not 0 <= seconds < inf:
            raise TemplateSyntaxError(f'"cache" tag got stale={stale!r}, which is no number of seconds.')
        return seconds

    def _cache(self, context: Context) -> BaseCache:
        if "using" in self.keywords:
            alias = _resolve(self.keywords["using"], context)
            try:
                return caches[alias]
            except InvalidCacheBackendError as error:
                raise TemplateSyntaxError(f"Invalid cache name specified for cache tag: {alias!r}") from error
        return caches[_FRAGMENTS_ALIAS if _FRAGMENTS_ALIAS in caches.settings else DEFAULT_CACHE_ALIAS]

    def _tags(self, context: Context) -> tuple[str, ...]:
        if "tags" not in self.keywords:
            return ()
        value = _resolve(self.keywords["tags"], context)
        names = value.split() if isinstance(value, str) else value
        if names == [] and isinstance(value, str):
            # What a misspelt variable resolves to: the fragment would never expire.
            raise TemplateSyntaxError('"cache" tag got tags= without a name. Is the variable there?')
        try:
            return tag_names(tuple(names))
        except TypeError as error:
            raise TemplateSyntaxError(f'"cache" tag got tags={value!r}, which is no list of names: {error}') from error


def _as_it_is(context: Context) -> Context:
    """A copy that no loop goes on to change."""
    copied = copy(context)
    copied.dicts = [
        {name: deepcopy(value) if name == "forloop" else value for name, value in each.items()}
        for each in context.dicts
    ]
    return copied


@lru_cache(maxsize=256)
def _warn_of_token(template: str, fragment: str) -> None:
    """Once for each fragment, as far as memory goes."""
    logger.warning(
        "Fragment %r in %s is not cached: it holds a CSRF token. Put the form outside of {%% cache %%}.",
        fragment,
        template,
    )


@lru_cache(maxsize=256)
def _warn_of_missing(template: str, fragment: str, variable: str) -> None:
    """Once for each variable, as far as memory goes."""
    logger.warning(
        "Fragment %r in %s is not cached: it varies on %s, which is not there. Correct the name, or give it a default "
        "with |default.",
        fragment,
        template,
        variable,
    )


def _template_of(node: Node) -> str:
    return str(getattr(getattr(node, "origin", None), "name", "a template"))


def _is_missing(expression: FilterExpression, context: Context) -> bool:
    """Whether it is a misspelt variable, say: it would have the same value for every visitor."""
    if expression.filters or not isinstance(expression.var, Variable):
        return False
    try:
        expression.var.resolve(context)
    except VariableDoesNotExist:
        return True
    return False


def _resolve(expression: FilterExpression, context: Context) -> Any:
    try:
        return expression.resolve(context)
    except VariableDoesNotExist as error:
        raise TemplateSyntaxError(f'"cache" tag got an unknown variable: {expression.var!r}') from error


@register.tag("cache")
def do_cache(parser: Parser, token: Token) -> CacheNode:
    """
    Cache the contents of the block for so many seconds, None for ever, under a name.

    Further arguments make variants of it. `tags=` names, as a list or in one string with spaces between, with which it
    expires; `stale=` says for how many seconds more the old text is given while a new one is made; `using=` names an
    alias of CACHES. They stand last::

        {% load cacheplus %}
        {% cache 500 sidebar request.user.username tags="menu news" using="fragments" %}
            ...
        {% endcache %}
    """
    nodelist = parser.parse(("endcache",))
    parser.delete_first_token()
    tokens = token.split_contents()
    if len(tokens) < 3:  # noqa: PLR2004 - the tag, the timeout and the name
        raise TemplateSyntaxError(f"'{tokens[0]!r}' tag requires at least 2 arguments.")
    keywords: dict[str, FilterExpression] = {}
    while len(tokens) > 3 and (keyword := tokens[-1].partition("="))[0] in _KEYWORDS and keyword[1]:  # noqa: PLR2004
        if keyword[0] in keywords:
            raise TemplateSyntaxError(f'"cache" tag got {keyword[0]}= twice.')
        keywords[keyword[0]] = parser.compile_filter(keyword[2])
        tokens.pop()
    vary_on = [parser.compile_filter(each) for each in tokens[3:]]
    return CacheNode(nodelist, parser.compile_filter(tokens[1]), tokens[2], vary_on, keywords)
