"""Cookies that notice when somebody asks for those of the visitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


class WatchedCookies(dict[str, Any]):
    """`request.COOKIES`, which calls `noticed` when one of `names` is read, or all of them are.

    With `sees_presence`, to ask whether one is there counts too.
    """

    def __init__(
        self, cookies: dict[str, Any], names: frozenset[str], noticed: Callable[[], object], *, sees_presence: bool
    ) -> None:
        # Whoever watches these is not told: nobody has looked yet.
        super().__init__(dict.items(cookies))
        self._names = names
        self._outer = cookies if isinstance(cookies, WatchedCookies) else None
        self._tell = noticed
        self._sees_presence = sees_presence

    def notice(self) -> None:
        """Tell who watches, and who watches further out."""
        self._tell()
        if self._outer is not None:
            self._outer.notice()

    def _asked(self, name: object) -> None:
        if name in self._names:
            self.notice()

    def __getitem__(self, name: str) -> Any:
        self._asked(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As that of a dict."""
        self._asked(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        if self._sees_presence:
            self._asked(name)
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.notice()
        return super().__iter__()

    def keys(self) -> Any:
        """As that of a dict."""
        self.notice()
        return super().keys()

    def values(self) -> Any:
        """As that of a dict."""
        self.notice()
        return super().values()

    def items(self) -> Any:
        """As that of a dict."""
        self.notice()
        return super().items()

    def copy(self) -> dict[str, Any]:
        """A plain dict."""
        self.notice()
        return super().copy()

    def __repr__(self) -> str:
        self.notice()
        return super().__repr__()
