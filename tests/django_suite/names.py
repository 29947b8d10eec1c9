"""Where a name of Django's cache framework is found in cacheplus."""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import dataclass, field

_BACKENDS = ("locmem", "filebased", "db", "dummy", "memcached", "redis")

MODULES = {
    **{f"django.core.cache.backends.{name}": f"cacheplus.backends.{name}" for name in _BACKENDS},
    "django.middleware.cache": "cacheplus.middleware",
    "django.views.decorators.cache": "cacheplus.decorators",
    "django.views.decorators.vary": "cacheplus.decorators",
    "django.templatetags.cache": "cacheplus.templatetags.cacheplus",
    "django.core.checks.caches": "cacheplus.checks",
}

# Names that Django does not document. Where ours has no such name, a test keeps Django's, and fails if it relies on it.
_INTERNAL = ("django.core.cache.backends.redis.RedisCacheClient", "django.core.cache.backends.filebased.time")


@dataclass(slots=True)
class Names:
    """The map at work. `missing` are names that do not exist here, `leaks` those that are Django's own objects."""

    missing: set[str] = field(default_factory=set)
    leaks: set[str] = field(default_factory=set)

    def target(self, dotted: str) -> str | None:
        """Our name for Django's `dotted`, or None where that keeps its own."""
        module = next((name for name in MODULES if dotted == name or dotted.startswith(f"{name}.")), None)
        if module is None:
            return None
        ours = MODULES[module] + dotted.removeprefix(module)
        try:
            found = pkgutil.resolve_name(ours)
        except (ImportError, AttributeError):
            if dotted.startswith(_INTERNAL):
                return None
            self.missing.add(ours)
            return ours
        if (inspect.isclass(found) or inspect.isroutine(found)) and found.__module__.startswith("django."):
            self.leaks.add(ours)
        return ours

    def faults(self) -> list[str]:
        """A line for each name that is not as it should be."""
        missing = [f"NAME {name} is missing" for name in sorted(self.missing)]
        return missing + [f"NAME {name} is Django's own object" for name in sorted(self.leaks)]
