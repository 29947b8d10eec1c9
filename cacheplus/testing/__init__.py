"""For the tests of sites and of other backends.

`isolated_caches` keeps tests apart; `BackendContract` is the suite that every backend of this package passes. Only the
latter needs pytest, and is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cacheplus.testing.isolation import isolated_caches

if TYPE_CHECKING:
    from cacheplus.testing.contract import BackendContract

__all__ = ["BackendContract", "isolated_caches"]


def __getattr__(name: str) -> Any:
    """Import the contract, which needs pytest (PEP 562)."""
    if name != "BackendContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Its plain asserts are to explain themselves, as they do in a test module.
    import_module("pytest").register_assert_rewrite("cacheplus.testing.contract")
    return import_module("cacheplus.testing.contract").BackendContract
