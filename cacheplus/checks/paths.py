"""What the dotted paths in a setting lead to."""

from __future__ import annotations

from typing import Any

from django.utils.module_loading import import_string


def ancestry(entry: Any) -> set[str]:
    """The dotted names of the class that `entry` (a path, a class or an instance) means, and of what it derives from.

    A path that cannot be imported is known by itself alone: what is the matter shows when the site starts.
    """
    names = set()
    if isinstance(entry, str):
        names.add(entry)
        try:
            entry = import_string(entry)
        except Exception:  # noqa: BLE001 (a module may raise anything on import, a check nothing)
            return names
    kind = entry if isinstance(entry, type) else type(entry)
    return names | {f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__}
