"""Optional libraries, imported when a codec is built that needs one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cacheplus.exceptions import MissingExtra


def import_extra(module: str, extra: str) -> Any:
    """The module, or `MissingExtra` with the line that installs it. An import error inside the module is let out."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in {module, module.partition(".")[0]}:
            raise
        raise MissingExtra(module, extra) from error
