"""Render docstrings and signatures as Markdown."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.docs import classes, docstring

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_visio.connection_form import Field, Form

_ROLE = re.compile(r":(?:class|meth|mod|func|attr):`~?([^`]+)`")
_LITERAL = re.compile(r"``(.+?)``")
_PAGE = re.compile(r"(?<![\w/`.(\[])docs/(\w+)\.md")


def prose(text: str) -> str:
    """Convert a docstring's text to Markdown."""
    text = _ROLE.sub(lambda match: f"`{'.'.join(_short(match[1]))}`", text)
    text = _LITERAL.sub(r"`\1`", text)
    return _PAGE.sub(r"[\1](../\1.md)", text)


def _short(dotted: str) -> list[str]:
    """Return the parts of a dotted name from its class on, or all parts if it has no class."""
    parts = dotted.split(".")
    return next((parts[i:] for i, part in enumerate(parts) if part[:1].isupper()), parts)


def code(text: str) -> str:
    """Return text as inline code."""
    return f"`{text}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    lines = [list(head), ["---"] * len(head), *([cell or " " for cell in row] for row in rows)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _raises(raises: dict[str, str]) -> list[str]:
    if not raises:
        return []
    rows = ((code(name), prose(meaning)) for name, meaning in raises.items())
    return ["", *table(("raises", "when"), rows)]


def parameters(of: type) -> list[str]:
    """Return the table of a class's parameters."""
    rows = (
        (
            code(one.name),
            code(one.type) if one.type and one.own else "",
            "required" if one.default is None else code(one.default) if one.own else "Airflow's",
            "yes" if one.templated else "",
            prose(one.meaning),
        )
        for one in classes.parameters(of)
    )
    return table(("parameter", "type", "default", "templated", "meaning"), rows)


def class_reference(of: type) -> list[str]:
    """Return the reference of a class, from its docstring and signature."""
    said = docstring.read(of)
    public_module = _public_module(of)
    lines = [f"`{public_module}.{of.__name__}`, in [`{_file(of)}`](../../{_file(of)})", ""]
    for paragraph in said.text:
        lines += [prose(paragraph), ""]
    lines += [*parameters(of), *_raises(said.raises)]
    links = [str(link.name) for link in getattr(of, "operator_extra_links", ())]
    if links:
        lines += ["", f"Button in Airflow's UI: {', '.join(links)}."]
    return lines


def hook_reference(of: type) -> list[str]:
    """Return the reference of a hook, with its methods."""
    lines = class_reference(of)
    for name, method in classes.methods(of):
        lines += ["", *_method(name, method)]
    return lines


def _method(name: str, method: Any) -> list[str]:
    said = docstring.read(method)
    if isinstance(method, property):
        return [f"### {name}", "", *(prose(part) for part in said.text)]
    signature = inspect.signature(method)
    signature = signature.replace(
        parameters=[one for one in signature.parameters.values() if one.name != "self"]
    )
    lines = [f"### {name}", "", code(_plain(f"{name}{signature}"))]
    for paragraph in said.text:
        lines += ["", prose(paragraph)]
    if said.params:
        rows = ((code(one), prose(meaning)) for one, meaning in said.params.items())
        lines += ["", *table(("parameter", "meaning"), rows)]
    if said.returns:
        lines += ["", f"Returns {prose(said.returns)}"]
    return [*lines, *_raises(said.raises)]


def _plain(signature: str) -> str:
    """Remove the quotes of annotations, which are strings in this package."""
    return re.sub(r"(?<=: |> )'([^']*)'", r"\1", signature)


def _public_module(of: type) -> str:
    package, kind, *_ = of.__module__.split(".")
    return f"{package}.{kind}.{'visiono' if of.__name__.startswith('Visiono') else 'vizdom'}"


def _file(of: type) -> str:
    return of.__module__.replace(".", "/") + ".py"


def fields(form: Form) -> list[str]:
    """Return the table of a connection's fields."""
    rows = [
        ("Password", "text", "required", "The API key."),
        ("Host", "text", code(form.base_url), "The base URL, with or without scheme and path."),
        *((code(one.name), _kind(one), _default(one), one.description) for one in form.fields),
    ]
    return table(("field", "holds", "default", "meaning"), rows)


def _kind(one: Field) -> str:
    kind = {"integer": "whole number", "json": "JSON", "boolean": "true or false", "secret": "secret text"}
    limits = [
        f"{word} {value:,g}"
        for word, value in (("from", one.minimum), ("to", one.maximum))
        if value is not None
    ]
    return " ".join([kind.get(one.kind, one.kind), *limits])


def _default(one: Field) -> str:
    return (
        ""
        if one.default is None
        else code(str(one.default).lower() if one.kind == "boolean" else str(one.default))
    )


def index() -> list[str]:
    """Return the index of all class pages."""
    lines: list[str] = []
    for kind in classes.KINDS:
        rows = (
            (f"[`{one.__name__}`]({kind}/{one.__name__}.md)", prose(docstring.read(one).summary))
            for one in classes.public(kind)
        )
        lines += [f"## {kind.capitalize()}", "", *table((kind[:-1], "does"), rows), ""]
    return lines[:-1]


def root() -> Path:
    """Return the root of the repository."""
    return Path(__file__).resolve().parents[2]
