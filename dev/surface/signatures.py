"""Read signatures from the source with griffe. The place where a class or type alias is defined does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = "airflow_provider_visio"


class Source:
    """
    The parsed source of the package.

    :param root: root of the repository
    """

    def __init__(self, root: Path) -> None:
        self._modules = griffe.ModulesCollection()
        griffe.load(
            PACKAGE,
            search_paths=[root],
            modules_collection=self._modules,
            resolve_aliases=True,
            resolve_external=False,
        )
        self._records: dict[str, griffe.Class] = {}

    def parameters(self, path: str) -> dict[str, str]:
        """Return the parameters of a class, with the keyword-only parameters that it passes to its bases.

        :return: name -> type and default
        """
        found: dict[str, str] = {}
        of, handed_on = self._class(path), False
        for one in (of, *of.mro()):
            made = one.members.get("__init__")
            if not isinstance(made, griffe.Function):
                continue
            for number, parameter in enumerate(made.parameters):
                if parameter.kind is griffe.ParameterKind.keyword_only:
                    found.setdefault(parameter.name, self._typed(parameter))
                elif (
                    parameter.kind is griffe.ParameterKind.positional_or_keyword and number and not handed_on
                ):
                    found[parameter.name] = f"{self._typed(parameter)} (positional {number})"
            handed_on = any(one.kind is griffe.ParameterKind.var_keyword for one in made.parameters)
            if not handed_on:
                return found
        return {**found, "**": "arguments of Airflow's base"}

    def methods(self, path: str, names: frozenset[str]) -> dict[str, str]:
        """Return the signatures of methods.

        :param path: path of the class
        :param names: methods; those that the class does not have are left out
        """
        members = self._class(path).all_members
        return {name: self._signature(members[name]) for name in sorted(names & set(members))}

    def returned_class(self, path: str, name: str) -> str:
        """Return the path of the class that a method or property returns."""
        member = _final(self._class(path).all_members[name])
        returned = member.annotation if isinstance(member, griffe.Attribute) else None
        if not isinstance(returned, griffe.ExprName):
            raise TypeError(f"{path}.{name} does not return one class")
        return returned.canonical_path

    def error(self, path: str) -> dict[str, object]:
        """Return an exception's bases, parameters and attributes."""
        of = self._class(path)
        attributes = (
            name
            for name, member in of.all_members.items()
            if "instance-attribute" in member.labels and not name.startswith("_")
        )
        return {
            "bases": [str(base) for base in of.bases],
            "parameters": self.parameters(path),
            "attributes": sorted(attributes),
        }

    def declared(self, path: str) -> object:
        """Return the signature of a function, the value of a constant or the fields of a type."""
        found = _final(self._modules[path])
        if isinstance(found, griffe.Class):
            return self._fields(found)
        return self._text(found.value) if isinstance(found, griffe.Attribute) else self._signature(found)

    def records(self) -> dict[str, dict[str, str]]:
        """Return the fields of all TypedDicts that signatures use, directly or in other TypedDicts."""
        done: dict[str, dict[str, str]] = {}
        while left := self._records.keys() - done.keys():
            for name in left:
                done[name] = self._fields(self._records[name])
        return done

    def _class(self, path: str) -> griffe.Class:
        found = _final(self._modules[path])
        if not isinstance(found, griffe.Class):
            raise TypeError(f"{path} is not a class")
        return found

    def _fields(self, of: griffe.Class) -> dict[str, str]:
        members = {name: _final(member) for name, member in of.all_members.items()}
        return {
            name: self._text(one.annotation)
            for name, one in members.items()
            if isinstance(one, griffe.Attribute)
        }

    def _signature(self, of: griffe.Object | griffe.Alias) -> str:
        of = _final(of)
        if isinstance(of, griffe.Attribute):
            return f"property: {self._text(of.annotation)}"
        if not isinstance(of, griffe.Function):
            raise TypeError(f"{of.path} is neither a method nor a property")
        parts = []
        keywords = False
        for parameter in of.parameters:
            if parameter.name in {"self", "cls"}:
                continue
            if parameter.kind is griffe.ParameterKind.keyword_only and not keywords:
                parts.append("*")
                keywords = True
            stars = "**" if parameter.kind is griffe.ParameterKind.var_keyword else ""
            parts.append(f"{stars}{parameter.name}: {self._typed(parameter, default=not stars)}")
        start = "async " if "async" in of.labels else ""
        return f"{start}({', '.join(parts)}) -> {self._text(of.returns)}"

    def _typed(self, parameter: griffe.Parameter, *, default: bool = True) -> str:
        text = self._text(parameter.annotation) or "Any"
        return (
            text if parameter.default is None or not default else f"{text} = {self._text(parameter.default)}"
        )

    def _text(self, expression: griffe.Expr | str | None) -> str:
        """Return an expression, with the package's aliases and constants replaced by their values."""
        if not isinstance(expression, griffe.Expr):
            return expression or ""
        return "".join(self._pieces(expression))

    def _pieces(self, expression: griffe.Expr) -> Iterator[str]:
        if not isinstance(expression, griffe.ExprName | griffe.ExprAttribute):
            for piece in expression.iterate(flat=False):
                yield self._text(piece)
            return
        known = self._known(expression.canonical_path)
        if isinstance(known, griffe.Attribute) and known.value is not None:
            yield self._text(known.value)
            return
        if isinstance(known, griffe.Class) and _is_record(known):
            self._records[known.name] = known
        yield str(expression)

    def _known(self, path: str) -> griffe.Object | None:
        return _final(self._modules[path]) if path.startswith(f"{PACKAGE}.") else None


def _is_record(of: griffe.Class) -> bool:
    return any("TypedDict" in map(str, one.bases) for one in (of, *of.mro()))


def _final(found: griffe.Object | griffe.Alias) -> griffe.Object:
    return found.final_target if isinstance(found, griffe.Alias) else found
