"""Expiry: end every stored copy of a page, of a fragment, or of whatever carries a tag.

Each call reaches every alias of CACHES that is one of ours, unless `cache=` narrows it. Inside an atomic block it takes
effect at once, and again when the transaction commits: until then other visitors still see, and cache, the old data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.db import connections, models, transaction
from django.db.models.signals import m2m_changed, post_save, pre_delete
from django.utils.functional import Promise

from cacheplus import conf
from cacheplus.expiry import expire_everywhere
from cacheplus.fragments import fragment_tag
from cacheplus.http.query import QueryRules, spelt
from cacheplus.pages.keys import canonical_paths, directories, page_tag, tree_tag
from cacheplus.tags import tag_names

logger = logging.getLogger("cacheplus")


class Expired(NamedTuple):
    """What an expiry did, as (ok, message). Falsy when nothing that it names can have been stored since the last."""

    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok


def expire_view_cache(
    path: Any,
    key_prefix: str | None = None,
    *,
    host: str | None = None,
    query: str | None = None,
    prefix: bool = False,
    cache: str | None = None,
    on_commit: bool = True,
) -> Expired:
    """Expire every stored copy of the page at `path`, in O(1): per site and per view, whatever it varies on.

    - `path` is a path, decoded or escaped, a full URL, or an object with `get_absolute_url()`.
    - `key_prefix`, `host` and `query` narrow it; None = every one. What a full URL says narrows too.
    - `prefix`: this path and all below it, for directories up to `PREFIX_DEPTH` below the root.
    - `cache`: one alias; None = all of them.

    Raises TypeError for a `path` that is none of these, ValueError for one that does not begin with a slash.
    """
    target = _Target.of(path, host, query)
    tags = list(target.tree_tags(key_prefix) if prefix else target.page_tags(key_prefix))
    return _expire(tags, cache, on_commit=on_commit, what=target.path)


def expire_tags(*tags: str, cache: str | None = None, on_commit: bool = True) -> Expired:
    """Expire everything that carries one of `tags`, on every alias or on `cache` alone."""
    return _expire(list(tag_names(tags)), cache, on_commit=on_commit, what=", ".join(tags))


def expire_fragment(
    name: str, vary_on: Iterable[Any] | None = None, using: str | None = None, *, on_commit: bool = True
) -> Expired:
    """Expire the fragment `name`: the variant for the arguments `vary_on`, or every variant."""
    tag = fragment_tag(name, vary_on, exact=conf.conf().exact_fragment_keys)
    return _expire([tag], using, on_commit=on_commit, what=f"fragment {name}")


async def aexpire_view_cache(path: Any, key_prefix: str | None = None, **narrowing: Any) -> Expired:
    """`expire_view_cache`, in the thread that owns the request's database connections."""
    return await sync_to_async(expire_view_cache)(path, key_prefix, **narrowing)


async def aexpire_tags(*tags: str, cache: str | None = None, on_commit: bool = True) -> Expired:
    """`expire_tags`, in the thread that owns the request's database connections."""
    return await sync_to_async(expire_tags)(*tags, cache=cache, on_commit=on_commit)


class _Target(NamedTuple):
    """The pages that a call of `expire_view_cache` means."""

    path: str
    host: str | None
    query: str | None

    @classmethod
    def of(cls, path: Any, host: str | None, query: str | None) -> _Target:
        url = path.get_absolute_url() if hasattr(path, "get_absolute_url") else path
        if isinstance(url, Promise):
            url = str(url)
        if not isinstance(url, str):
            raise TypeError(
                f"expire_view_cache takes a path, a URL or an object with get_absolute_url(), not {path!r}."
            )
        is_path = url.startswith("/")
        if not is_path and "://" not in url.partition("?")[0]:
            raise ValueError(
                f"expire_view_cache was given {url!r}, which is no path: it must begin with a slash, as "
                "request.path does."
            )
        # A path may begin with two slashes, and is no host then.
        parts = urlsplit(f"//{url}" if is_path else url)
        asked = query.removeprefix("?") if query is not None else (parts.query if "?" in url else None)
        return cls(parts.path or "/", (host or parts.netloc or "").lower() or None, asked)

    def page_tags(self, key_prefix: str | None) -> Iterator[str]:
        for path in canonical_paths(self.path):
            for query in self._queries():
                yield page_tag(path, self.host, query, key_prefix or None)

    def _queries(self) -> Iterable[str | None]:
        """The query as pages have it: without what the site ignores, and with it where a view ignores less."""
        if self.query is None:
            return (None,)
        kept = QueryRules(conf.conf().ignore_query).kept(self.query)
        return dict.fromkeys((spelt(kept), spelt(self.query)))

    def tree_tags(self, key_prefix: str | None) -> Iterator[str]:
        if self.query is not None:
            raise ValueError("expire_view_cache takes either prefix=True or a query, not both: drop the query.")
        depth = conf.conf().prefix_depth
        for path in canonical_paths(self.path):
            directory = path if path.endswith("/") else f"{path}/"
            if directory not in directories(f"{directory}x", depth):
                raise ValueError(
                    f"expire_view_cache(prefix=True) was given {path!r}, which lies more than {depth} levels below the "
                    "root. Raise PREFIX_DEPTH in CACHEPLUS, or expire a directory further up."
                )
            yield tree_tag(directory, self.host, key_prefix or None)
            for page in dict.fromkeys((path, directory)):
                yield page_tag(page, self.host, None, key_prefix or None)


def _expire(tags: list[str], alias: str | None, *, on_commit: bool, what: str) -> Expired:
    expired = _expire_now(tags, alias, what=what)
    open_blocks = [each for each in connections.all(initialized_only=True) if each.in_atomic_block]
    for connection in open_blocks if on_commit else ():
        # If it raises, the hooks of others are called all the same.
        transaction.on_commit(partial(_expire_now, tags, alias, what=what), using=connection.alias, robust=True)
    return expired


def _expire_now(tags: list[str], alias: str | None, *, what: str) -> Expired:
    outcome = expire_everywhere(tags, alias)
    if outcome.failed:
        told = ", ".join(f"{name!r} ({type(error).__name__})" for name, error in outcome.failed.items())
        return Expired(
            ok=False, message=f"{what} could not be expired on {told}; that is owed, and done as soon as it can be."
        )
    if not outcome.stamps:
        return Expired(ok=False, message=f"{what}: nothing was stored since the last expiry.")
    return Expired(ok=True, message=f"{what} is expired on {', '.join(map(repr, outcome.aliases))}.")


Names = Callable[[Any], str | Iterable[str]]


def expire_on_change(*watched: type[models.Model], paths: Names | None = None, tags: Names | None = None) -> None:
    """Expire whenever an instance of one of these models is saved or deleted, or its many-to-many relations change.

    `paths` and `tags` are functions from the instance to one name or several; without either, the page at the
    instance's `get_absolute_url()` expires. Call it in `AppConfig.ready`. Bulk operations such as `update()` send no
    signal: call `expire_changed` after them.
    """
    if not watched:
        raise TypeError("expire_on_change needs at least one model.")
    given: tuple[object, ...] = watched
    for model in given:
        if not isinstance(model, type) or not issubclass(model, models.Model):
            raise TypeError(f"expire_on_change takes model classes, not {model!r}.")
    watcher = _Watcher(watched, paths, tags)
    # A deletion is told of while what the names are made of is still there; it always has a commit to come.
    for signal in (post_save, pre_delete):
        signal.connect(watcher.changed, weak=False)
    m2m_changed.connect(watcher.related, weak=False)
    _watchers.append(watcher)


def expire_changed(*changed: models.Model | Iterable[models.Model]) -> None:
    """Expire what `expire_on_change` would, for instances that were changed without a signal.

    Takes instances, and querysets and lists of them; all expire together. Call it after `update()` and the bulk calls,
    and before a raw deletion.
    """
    instances = [each for given in changed for each in ([given] if isinstance(given, models.Model) else given)]
    for instance in instances:
        if not isinstance(instance, models.Model):
            raise TypeError(f"expire_changed takes instances of models, not {instance!r}.")
    _expire_for(watcher.tags_of(instance) for watcher in _watchers for instance in instances)


class _Watcher:
    """The receivers of one call of `expire_on_change`."""

    def __init__(self, watched: tuple[type[models.Model], ...], paths: Names | None, tags: Names | None) -> None:
        self._watched = watched
        self._paths = paths
        self._tags = tags

    def changed(self, instance: models.Model, **_: Any) -> None:
        """Expire for `instance`. Nothing that the site's functions or the cache do makes the save fail."""
        _expire_for([self.tags_of(instance)])

    def tags_of(self, instance: models.Model) -> list[str]:
        """The tags that expire when `instance` changes; what cannot be found out is logged and left out."""
        if not isinstance(instance, self._watched):
            return []
        found: list[str] = []
        with _logged(instance):
            found.extend(tag_names(_listed(self._tags(instance))) if self._tags is not None else ())
        with _logged(instance):
            for path in self._paths_of(instance):
                with _logged(instance):
                    found.extend(_Target.of(path, None, None).page_tags(None))
        return found

    def _paths_of(self, instance: models.Model) -> Iterable[Any]:
        if self._paths is not None:
            return _listed(self._paths(instance))
        return [instance] if self._tags is None else []

    def related(
        self,
        sender: type[models.Model],
        instance: models.Model,
        action: str,
        reverse: bool,
        model: type[models.Model],
        pk_set: set[Any] | None,
        using: str,
        **_: Any,
    ) -> None:
        """Expire for both sides of a many-to-many relation. A `clear` is told of before it happens, too."""
        if action.startswith("pre_") and action != "pre_clear":
            return
        groups = [self.tags_of(instance)]
        if issubclass(model, self._watched):
            far = model._default_manager.using(using)
            with _logged(instance):
                others = far.filter(pk__in=pk_set) if pk_set is not None else _related(instance, sender, far, reverse)
                groups.extend(self.tags_of(other) for other in others)
        _expire_for(groups)


_watchers: list[_Watcher] = []


def _related(
    instance: models.Model, through: type[models.Model], far: models.QuerySet[Any], reverse: bool
) -> Iterable[models.Model]:
    """Those of `far` to which `instance` is still related by the relation that goes through `through`."""
    near = far.model if reverse else type(instance)
    for field in near._meta.many_to_many:
        if field.remote_field.through is through:
            return far.filter(**{field.name: instance.pk}) if reverse else getattr(instance, field.name).all()
    return ()


def _expire_for(groups: Iterable[list[str]]) -> None:
    """Expire the tags of all `groups` at once."""
    tags = list(dict.fromkeys(tag for group in groups for tag in group))
    if tags:
        _expire(tags, None, on_commit=True, what=f"{len(tags)} tags")


@contextmanager
def _logged(instance: models.Model) -> Iterator[None]:
    """Log what the block raises, and go on."""
    try:
        yield
    except Exception:
        logger.exception("What %s stands for could not be expired.", instance._meta.label)


def _listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
