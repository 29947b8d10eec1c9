"""Names as a site lists them: exact, or with `*` for any text."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in names), re.DOTALL)


def is_listed(name: str, names: tuple[str, ...]) -> bool:
    """Whether `name`, spelt exactly so, is one of `names`, which come from settings and decorators alone."""
    return bool(names) and _pattern(names).fullmatch(name) is not None
