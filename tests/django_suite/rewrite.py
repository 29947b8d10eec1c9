"""Points the source of Django's tests at cacheplus: its imports and the dotted paths in its strings."""

from __future__ import annotations

import ast
import re
from itertools import accumulate
from pathlib import Path

from tests.django_suite.names import MODULES, Names

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_APPS = "ALWAYS_INSTALLED_APPS = [\n"


class _Rewriter(ast.NodeVisitor):
    """Collects edits as (first byte, last byte, text): everything else of the file stays as it was."""

    def __init__(self, source: bytes, names: Names) -> None:
        self.source, self.names = source, names
        self.edits: list[tuple[int, int, str]] = []
        self._lines = [0, *accumulate(map(len, source.splitlines(keepends=True)))]

    def replace(self, node: ast.stmt | ast.expr, text: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._lines[node.lineno - 1] + node.col_offset
        self.edits.append((start, self._lines[node.end_lineno - 1] + node.end_col_offset, text))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            target = self.names.target(node.value)
            if target:
                self.replace(node, repr(target))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Parts of an f-string are no dotted paths, and have no place of their own to edit on Python 3.11."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None:
            return
        targets = {name: self.names.target(f"{node.module}.{name.name}") for name in node.names}
        if any(targets.values()):
            lines = [self._import(node.module, name, target) for name, target in targets.items()]
            self.replace(node, "; ".join(lines))

    def _import(self, module: str, name: ast.alias, target: str | None) -> str:
        local = name.asname or name.name
        if target in self.names.missing:
            # Only the tests that use it shall fail.
            return f"{local} = None"
        module, _, found = (target or f"{module}.{name.name}").rpartition(".")
        return f"from {module} import {found} as {local}"

    def visit_Assign(self, node: ast.Assign) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id="available_apps")], value=ast.List(elts=apps)):
                self.replace(node.value, f"[{', '.join([*map(ast.unparse, apps), repr('cacheplus')])}]")
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Subscript(value=ast.Name(id="caches")), attr=copied)],
                value=ast.Attribute(value=ast.Name(id="cache"), attr=attribute),
            ) if copied == attribute and attribute.startswith("_"):
                # One alias is given the private storage of another. Ours share it by LOCATION, which is the same.
                self.replace(node, "pass")
            case _:
                self.generic_visit(node)

    def result(self) -> bytes:
        source = self.source
        for start, end, text in sorted(self.edits, reverse=True):
            source = source[:start] + text.encode() + source[end:]
        return source


def rewrite_source(source: bytes, names: Names) -> bytes:
    """The same source with every mapped name replaced."""
    rewriter = _Rewriter(source, names)
    rewriter.visit(ast.parse(source))
    return rewriter.result()


def rewrite_tree(tests: Path, names: Names) -> int:
    """Rewrite what is unpacked in `tests`, in place; return how many files changed."""
    changed = 0
    for path in sorted(tests.rglob("*.py")):
        source = path.read_bytes()
        if any(module.encode() in source for module in MODULES):
            path.write_bytes(rewrite_source(source, names))
            changed += 1
    runtests = tests / "runtests.py"
    source = runtests.read_bytes()
    if _APPS.encode() not in source:
        raise RuntimeError(f"{runtests} has no line {_APPS.strip()!r} to add cacheplus to")
    runtests.write_bytes(source.replace(_APPS.encode(), f'{_APPS}    "cacheplus",\n'.encode(), 1))
    return changed + 1
