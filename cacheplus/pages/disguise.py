"""What the view is shown in place of the request, so that its response can be stored."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from cacheplus.http.headers import Fields

_METHOD = "REQUEST_METHOD"
# The client's own conditions, and its Range, are about what the client has: they are not what is asked of the view.
_CONDITIONS = (
    "HTTP_IF_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_RANGE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_RANGE",
)

_MAKE_304 = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH")


class Disguise:
    """Changes a request from `put_on` to `take_off`. Neither does anything the second time."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._before: dict[str, Any] = {}
        self._method: str | None = None

    def put_on(self, conditions: Fields | None) -> None:
        """Show a GET in place of a HEAD, and `conditions`, where there are any, in place of the client's own."""
        request, meta = self._request, self._request.META
        if self._before or (conditions is None and request.method != "HEAD"):
            return
        self._before = {name: meta.get(name) for name in (_METHOD, *_CONDITIONS)}
        self._method = request.method
        if request.method == "HEAD":
            request.method = meta[_METHOD] = "GET"
        if conditions is not None:
            self._replace(dict.fromkeys(_CONDITIONS) | _as_meta(conditions))

    def hide_conditions(self) -> None:
        """Show none of the conditions by which a whole response becomes a 304."""
        hidden = [name for name in _MAKE_304 if name in self._request.META]
        if hidden:
            self._before = {name: self._request.META[name] for name in hidden}
            self._method = self._request.method
            self._replace(dict.fromkeys(hidden))

    def take_off(self) -> None:
        """Restore what was there before."""
        if self._before:
            self._replace(self._before)
            self._request.method = self._method
            self._before = {}

    def _replace(self, values: dict[str, Any]) -> None:
        meta = self._request.META
        for name, value in values.items():
            if value is None:
                meta.pop(name, None)
            else:
                meta[name] = value
        # It caches what it read of META.
        vars(self._request).pop("headers", None)


def _as_meta(fields: Fields) -> dict[str, Any]:
    return {"HTTP_" + name.upper().replace("-", "_"): value for name, value in fields}
