"""The layers of the package, low to high, and a reader of imports that finds what breaks them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

PACKAGE = "cacheplus"
LONGEST_MODULE = 350


@dataclass(frozen=True, slots=True)
class Layer:
    """Modules (as patterns below the package) with the same rights.

    Within a layer all may import each other. `below` are the layers they may import, `outside` the packages beside the
    standard library, and `lazy` those that only a function may import, because a site may not have them.
    """

    modules: tuple[str, ...]
    below: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    lazy: tuple[str, ...] = ()
    isolated: bool = False  # its modules may not import each other
    hidden: bool = False  # nobody else may import it


_PURE = ("exceptions", "http", "codecs")
_BASIC = (*_PURE, "conf", "basic", "store")
_SERVED = (*_BASIC, "services", "backends", "pages")
_BACKEND = ("django.core.cache", "django.core.checks", "django.core.exceptions", "django.utils", "asgiref")


def _driven(name: str, *drivers: str) -> Layer:
    """A backend that needs a driver: in its own modules alone, at the top or late."""
    return Layer((f"backends.{name}*",), (*_BASIC, "backends"), (*_BACKEND, *drivers), lazy=drivers)


# The first pattern that fits a module decides.
LAYERS = {
    "exceptions": Layer(("exceptions",)),
    "http": Layer(("http", "http.*"), ("exceptions",)),
    "codecs": Layer(("codecs", "codecs.*"), ("exceptions",), lazy=("msgpack", "zstandard", "lz4")),
    "conf": Layer(
        ("conf", "conf_rules"), (*_PURE, "basic"), ("django.conf", "django.core.exceptions", "django.core.signals")
    ),
    "basic": Layer(("signals", "url"), _PURE, ("django.dispatch", "django.core.exceptions")),
    # The protocol that services know a backend by, and what becomes of its faults.
    "store": Layer(("store", "recall", "boundary", "health", "breaker", "owed", "faults"), (*_PURE, "conf", "basic")),
    # Whether a thread may wait, and whose request it answers, are questions about its event loop and connections.
    "waiting": Layer(("waiting", "requests"), (*_BASIC, "services"), ("asgiref", "django.db", "django.core.signals")),
    "services": Layer(("tags", "flights", "recorder", "uncommitted", "stats", "locks"), _BASIC, isolated=True),
    "leaf-db": Layer(("backends.db*",), (*_BASIC, "backends"), (*_BACKEND, "django.db")),
    "leaf-redis": _driven("redis", "redis", "django_redis"),
    "leaf-memcached": _driven("memcached", "pymemcache", "pylibmc"),
    "leaf-lmdb": _driven("lmdb", "lmdb"),
    "leaves": Layer(
        ("backends.locmem", "backends.filebased", "backends.dummy", "backends.tiered"),
        (*_BASIC, "backends"),
        _BACKEND,
        isolated=True,
    ),
    "backends": Layer(("backends", "backends.*"), (*_BASIC, "services", "waiting"), _BACKEND),
    "tables": Layer(
        ("tables", "tables.*", "expiry"),
        (*_BASIC, "services", "backends"),
        ("django.apps", "django.core", "django.db"),
    ),
    "arguments": Layer(("arguments",), (), ("django.db", "django.utils")),
    "pages": Layer(
        ("pages", "pages.*", "fragments"),
        (*_PURE, "basic", "store", "services", "waiting", "arguments", "backends", "tables"),
        (
            "django.core.cache",
            "django.core.exceptions",
            "django.http",
            "django.middleware.csrf",
            "django.template",
            "django.utils",
            "asgiref",
        ),
    ),
    "shells": Layer(
        (
            "middleware",
            "decorators",
            "functions",
            "mixins",
            "front",
            "invalidation",
            "templatetags",
            "templatetags.*",
            "utils",
            "site",
        ),
        (*_SERVED, "arguments", "tables"),
        ("django", "asgiref"),
    ),
    "operators": Layer(
        ("apps", "routers", "checks", "checks.*", "admin", "management", "management.*", "testing", "testing.*"),
        (*_SERVED, "tables", "shells", "waiting", "leaves", "leaf-db", "leaf-redis", "leaf-memcached", "leaf-lmdb"),
        ("django", "asgiref", "pytest"),
        hidden=True,
    ),
    # The root names what a site needs, for type checkers; at run time it imports nothing by itself.
    "root": Layer(("",), (*_SERVED, "shells"), hidden=True),
}


class Import(NamedTuple):
    """One imported module, and where."""

    target: str
    names: tuple[str, ...]
    line: int
    in_function: bool


def layer_of(module: str) -> str:
    """The layer of a dotted module name; raises LookupError for one that has no place yet."""
    inside = module.removeprefix(PACKAGE).removeprefix(".")
    for name, layer in LAYERS.items():
        if any(fnmatchcase(inside, pattern) for pattern in layer.modules):
            return name
    raise LookupError(f"{module} belongs to no layer: give it one in {__name__}")


def imports(tree: ast.AST, modules: Iterable[str], *, in_function: bool = False) -> Iterator[Import]:
    """Every import below `tree`, TYPE_CHECKING ones too. `from package import module` is an import of that module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, (), node.lineno, in_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                module = f"{origin}.{alias.name}"
                is_module = module in modules
                names = () if is_module else (alias.name,)
                yield Import(module if is_module else origin, names, node.lineno, in_function)
        inner = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, modules, in_function=inner)


def violations(sources: Mapping[str, str]) -> list[str]:
    """What is wrong in the package whose modules (dotted name: source) are `sources`, one sentence each."""
    found = []
    for module, source in sources.items():
        if source.count("\n") > LONGEST_MODULE:
            found.append(f"{module} has more than {LONGEST_MODULE} lines")
        for item in imports(ast.parse(source), sources):
            reason = _refusal(module, item)
            if reason:
                found.append(f"{module}:{item.line} imports {item.target}: {reason}")
    return list(dict.fromkeys(found))


def _refusal(module: str, item: Import) -> str | None:
    """Why `module` may not do this import, or None."""
    top = item.target.partition(".")[0]
    layer = LAYERS[layer_of(module)]
    if not top:
        return "relative imports hide the layer"
    if top == PACKAGE:
        return _inner_refusal(module, item)
    if top in sys.stdlib_module_names:
        return "an import of the standard library belongs at the top" if item.in_function else None
    if _is_within(item, layer.lazy) and item.in_function:
        return None
    if not _is_within(item, layer.outside):
        return f"the layer {layer_of(module)} does not know it" + (" at the top" if top in layer.lazy else "")
    return "only an optional package is imported inside a function" if item.in_function else None


def _inner_refusal(module: str, item: Import) -> str | None:
    here, there = layer_of(module), layer_of(item.target)
    if item.in_function:
        # A module that imports a driver is itself as optional as the driver.
        is_optional = here == there and LAYERS[here].lazy
        return None if is_optional else "an import inside a function hides a cycle"
    if there == "root":
        return "nothing imports the package root from within"
    if here == there:
        others = LAYERS[here].isolated and item.target != module
        private = here == "shells" and any(name.startswith("_") for name in item.names)
        return f"the modules of {here} know nothing of one another" if others or private else None
    if LAYERS[there].hidden or there not in LAYERS[here].below:
        return f"{there} is not below {here}"
    return None


def _is_within(item: Import, packages: tuple[str, ...]) -> bool:
    """Whether all of it lies in `packages`; `from django.core import checks` is an import of django.core.checks."""
    targets = [f"{item.target}.{name}" for name in item.names] or [item.target]
    if targets == ["django"]:
        # For its version.
        return any(package.startswith("django") for package in packages)
    return all(any(f"{target}.".startswith(f"{package}.") for package in packages) for target in targets)


def read_package(root: Path) -> dict[str, str]:
    """The source of every module of the package below `root`, by dotted name."""
    sources = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return sources
