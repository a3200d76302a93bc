"""List the public classes, each of which has a page in docs/, and their parameters."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.get_provider_info import get_provider_info

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("operators", "sensors", "triggers", "hooks")
_PACKAGE = "airflow_provider_visio"
_SERVICES = ("Visiono", "Vizdom")
# Methods of a hook that only the provider and Airflow's forms use.
_INTERNAL = frozenset(
    {
        "async_config",
        "check_open",
        "collect_lineage",
        "find_listed_photo_requests",
        "find_photo_requests",
        "get_async_conn",
        "get_connection_form_widgets",
        "get_polling_conn",
        "get_ui_field_behaviour",
        "judge",
        "with_longest_wait",
        "list_created_since",
        "config",
    }
)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a class.

    :param default: default as source text; None if the parameter is required
    :param templated: whether Airflow renders templates in it
    :param own: whether this package declares it, and not Airflow
    """

    name: str
    type: str
    default: str | None
    templated: bool
    own: bool


def public(kind: str) -> list[type]:
    """Return the public classes of one kind, in the order of their modules.

    :param kind: an entry of `KINDS`
    """
    found: list[type] = []
    for entry in get_provider_info()[kind]:
        for name in entry["python-modules"]:
            module = importlib.import_module(name)
            found += [
                one
                for one_name, one in vars(module).items()
                if inspect.isclass(one)
                and one_name.startswith(_SERVICES)
                and one_name.endswith(kind[:-1].capitalize())
                and "Base" not in one_name
                and not inspect.isabstract(one)
                and one.__module__.startswith(f"{_PACKAGE}.{kind}.")
                and one not in found
            ]
    return found


def parameters(of: type) -> list[Parameter]:
    """Return the parameters that a class's docstring describes, also those that its bases declare.

    :raises ValueError: the docstring and the signatures have different parameters
    """
    described = re.findall(r"^:param (\w+):", inspect.cleandoc(of.__doc__ or ""), re.MULTILINE)
    declared: dict[str, tuple[inspect.Parameter, bool]] = {}
    for base in of.__mro__:
        if "__init__" in vars(base):
            own = base.__module__.startswith(_PACKAGE)
            for name, one in _init_of(base).items():
                declared.setdefault(name, (one, own))
    # The docstring must describe the parameters that the class itself declares.
    first = next(base for base in of.__mro__ if "__init__" in vars(base))
    silent = [
        name
        for name, one in _init_of(first).items()
        if name != "self" and one.kind is not one.VAR_KEYWORD and name not in described
    ]
    unknown = [name for name in described if name not in declared]
    if silent or unknown:
        raise ValueError(
            f"{of.__name__}: the docstring lacks {silent}, or describes {unknown}, which are not parameters"
        )
    templated = set(getattr(of, "template_fields", ()))
    return [
        Parameter(
            name,
            type="" if one.annotation is one.empty else str(one.annotation),
            default=None if one.default is one.empty else repr(one.default),
            templated=name in templated,
            own=own,
        )
        for name in described
        for one, own in [declared[name]]
    ]


def _init_of(of: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(vars(of)["__init__"]).parameters


def methods(of: type) -> list[tuple[str, Any]]:
    """Return a hook's public methods by name: first its own, then the common ones of both hooks."""
    found: dict[str, Any] = {}
    for base in of.__mro__:
        if base.__module__.startswith(_PACKAGE):
            for name, one in vars(base).items():
                if is_public(name) and (inspect.isfunction(one) or isinstance(one, property)):
                    found.setdefault(name, one)
    return list(found.items())


def is_public(name: str) -> bool:
    """Return whether a hook's attribute of this name is for users."""
    return not name.startswith("_") and name not in _INTERNAL
