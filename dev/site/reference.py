"""Add to autodoc's pages: defaults and types of inherited parameters, templated parameters, buttons, links to pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dev import public_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

_PARAMETER = re.compile(r":param (\w+):")
_PAGE = re.compile(r"(?<![\w/`.(\[])docs/([\w/]+)\.md")


def describe(_: Sphinx | None, what: str, __: str, of: Any, ___: Any, lines: list[str]) -> None:
    """Change the lines of a docstring, as autodoc asks for it."""
    lines[:] = [_PAGE.sub(r":doc:`/docs/\1`", line) for line in lines]
    if what == "class" and of in public():
        lines[:] = [*_with_button(of, _with_facts(of, lines))]


def public() -> list[type]:
    """Return all public classes."""
    return [one for kind in public_classes.KINDS for one in public_classes.public(kind)]


def _with_facts(of: type, lines: list[str]) -> Iterator[str]:
    """Add type and default to each parameter."""
    parameters = {one.name: one for one in public_classes.parameters(of)}
    current: public_classes.Parameter | None = None
    for line in [*lines, ""]:
        if current and not line.startswith(" "):
            yield f"    {_fact(current)}"
            if current.own and current.type:
                yield f":type {current.name}: {current.type}"
        if found := _PARAMETER.match(line):
            current = parameters[found[1]]
        elif not line.startswith(" "):
            current = None
        yield line.removesuffix(" (templated)")


def _fact(one: public_classes.Parameter) -> str:
    default = f"``{one.default}``" if one.own else "Airflow's"
    fact = "Required" if one.default is None else f"Default: {default}"
    return f"{fact}, templated." if one.templated else f"{fact}."


def _with_button(of: type, lines: Iterator[str]) -> Iterator[str]:
    names = [str(link.name) for link in getattr(of, "operator_extra_links", ())]
    for line in lines:
        if names and line.startswith(":"):
            yield f"Button{'s' * (len(names) > 1)} in Airflow's UI: {', '.join(f'*{name}*' for name in names)}."
            yield ""
            names = []
        yield line


def _sign(
    _: Sphinx, what: str, __: str, of: Any, ___: Any, ____: str | None, _____: str | None
) -> tuple[str, None] | None:
    # The list of parameters has all of it, and those of the bases, which the signature lacks.
    return ("", None) if what == "class" and of in public() else None


def _skip(_: Sphinx, what: str, name: str, of: Any, __: bool, ___: Any) -> bool | None:  # noqa: FBT001
    if what != "class":
        return None
    module = str(getattr(getattr(of, "fget", of), "__module__", ""))
    return None if public_classes.is_public(name) and module.startswith("airflow_provider_visio.") else True


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", describe)
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
