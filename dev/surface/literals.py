"""Find the string literals of stored keys, metrics and command options in the source."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Keys of the state store, of XCom and of a request's metadata. {} is a variable part.
_KEY = re.compile(r"visio_[a-z{}_]+|airflow_(task|input|ask)")
_METRIC = re.compile(r"visio\.poll\.[\w.{}]+")
_OPTION = re.compile(r"--[a-z-]+")


def keys(package: Path) -> list[str]:
    """Return the keys that the provider stores values under."""
    found = {
        text for tree in _trees(package) for node in ast.walk(tree) if (text := _text(node, _constants(tree)))
    }
    return sorted(text for text in found if _KEY.fullmatch(text))


def metrics(package: Path) -> dict[str, str]:
    """Return metric name -> kind."""
    return {
        name: call.func.attr
        for tree in _trees(package)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args
        if (name := _text(call.args[0], _constants(tree))) and _METRIC.fullmatch(name)
    }


def options(module: Path) -> list[str]:
    """Return the options of a command."""
    texts = (_text(node, {}) for node in ast.walk(ast.parse(module.read_text())))
    return sorted(text for text in texts if text and _OPTION.fullmatch(text))


def _trees(package: Path) -> Iterator[ast.Module]:
    for file in sorted(package.rglob("*.py")):
        if "sandbox" not in file.relative_to(package).parts:
            yield ast.parse(file.read_text())


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _text(node: ast.AST, constants: dict[str, str]) -> str | None:
    """Return the text of a string or f-string. ``{}`` stands for each part that is not a constant of its module."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, constants) or "{}" for part in node.values)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name):
        return constants.get(node.value.id)
    return None
