"""A module's source text, read without running it: what it imports and which events it emits by name."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

from recyclic.testing.contract.finding import Place
from recyclic.testing.contract.observed import EmitCall, Flaw, Import

_SKIPPED = {"__pycache__", "tests", "node_modules"}
_TEST_FILES = {"testing.py", "conftest.py"}


class SourceReader:
    """Reads every Python file of a module's folder."""

    def __init__(self, root: Path, package: str) -> None:
        self.root = root
        self.package = package
        self.unparsable: list[Flaw] = []
        self.imports: list[Import] = []
        self.emit_calls: list[EmitCall] = []

    def read(self) -> None:
        """Fill `imports`, `emit_calls` and `unparsable`."""
        for file in sorted(self.root.rglob("*.py")):
            inner = file.relative_to(self.root)
            if _SKIPPED.intersection(inner.parts):
                continue
            try:
                with tokenize.open(file) as text:
                    tree = ast.parse(text.read(), filename=str(file))
            except SyntaxError as error:
                self.unparsable.append(Flaw(what=f"{error.msg}", place=Place(file=str(file), line=error.lineno)))
            except (ValueError, OSError, RecursionError, MemoryError) as error:
                self.unparsable.append(Flaw(what=f"{type(error).__name__}: {error}", place=Place(file=str(file))))
            else:
                self._visit(file, inner, tree)

    def _visit(self, file: Path, inner: Path, tree: ast.Module) -> None:
        parts = (*self.package.split("."), *inner.with_suffix("").parts)
        package = parts[:-1]
        test_only = inner.name in _TEST_FILES
        for node, optional in _walk(tree):
            place = Place(file=str(file), line=getattr(node, "lineno", None))
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = list(_from(node, package))
            else:
                if isinstance(node, ast.Call) and (event := _emitted(node)):
                    self.emit_calls.append(EmitCall(event=event, place=place))
                continue
            self.imports += [Import(name=name, place=place, optional=optional, test_only=test_only) for name in names]


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node and whether it may fail: below `if TYPE_CHECKING` or `try … except ImportError`."""
    todo: list[tuple[ast.AST, bool]] = [(tree, False)]
    while todo:
        node, optional = todo.pop()
        yield node, optional
        guarded: list[ast.stmt] = []
        if isinstance(node, ast.If | ast.Try) and _guards(node):
            guarded = node.body
        todo += [(child, optional or child in guarded) for child in ast.iter_child_nodes(node)]


def _guards(node: ast.If | ast.Try) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in _names(node.test)
    return any(_catches_import_error(handler) for handler in node.handlers)


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or bool(_names(handler.type) & {"ImportError", "ModuleNotFoundError", "Exception"})


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }


def _from(node: ast.ImportFrom, package: tuple[str, ...]) -> Iterator[str]:
    """Yield what `from x import a, b` may load: `x.a` and `x.b`, which say more than `x` alone."""
    base = list(package[: len(package) - node.level + 1]) if node.level else []
    stem = ".".join([*base, *([node.module] if node.module else [])])
    for alias in node.names:
        yield stem if alias.name == "*" else f"{stem}.{alias.name}"


def _emitted(call: ast.Call) -> str | None:
    """Return the event's name where `call` is `….emit("name", …)` on something that is called a bus."""
    func = call.func
    if not (isinstance(func, ast.Attribute) and func.attr == "emit" and call.args):
        return None
    first = call.args[0]
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return None
    return first.value if any("bus" in name.lower() for name in _names(func.value)) else None
