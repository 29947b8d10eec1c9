"""Whether the transactions of a connection go on seeing what was there when they began."""

from __future__ import annotations

import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

_SETS_ISOLATION = re.compile(
    r"\s*(?:SET|BEGIN|START|RESET)\b.*isolation(?!\s+LEVEL\s+READ\s)", re.IGNORECASE | re.DOTALL
)
_SEES_COMMITS = frozenset({"read committed", "read uncommitted"})


class Isolation:
    """The isolation of one connection. What cannot be told counts as a snapshot."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._asked: tuple[Any, bool] = (None, True)
        self._set_on: Any = None

    def notice(self, sql: str) -> None:
        """Note that a statement may have set another isolation; until it connects anew, all counts as a snapshot."""
        if _SETS_ISOLATION.match(sql):
            self._set_on = self._connection.connection

    def is_snapshot(self) -> bool:
        """Whether what others commit stays unseen; asks a PostgreSQL server once for each of its connections."""
        driver: Any = self._connection.connection
        if self._set_on is driver or self._connection.vendor not in {"postgresql", "mysql"}:
            return True
        if self._connection.vendor == "mysql":
            # Django sets it on each connection, unless it is told None.
            return getattr(self._connection, "isolation_level", None) not in _SEES_COMMITS
        if self._asked[0] is not driver:
            self._asked = (driver, _level_on_postgresql(driver) not in _SEES_COMMITS)
        return self._asked[1]


def _level_on_postgresql(driver: Any) -> str:
    """The level of the open transaction, be it of the settings or of the server. Not seen by other wrappers."""
    with driver.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        return str(cursor.fetchone()[0])
