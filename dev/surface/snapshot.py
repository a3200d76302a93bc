"""Collect the public surface: the classes that users import, and the declarations of the running code."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import tomllib
from typing import TYPE_CHECKING, Any

from airflow_provider_visio.get_provider_info import get_provider_info
from dev import public_classes
from dev.surface import literals
from dev.surface.signatures import PACKAGE, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Class paths of triggers that Airflow's database has while a task waits.
STORED_TRIGGERS = (
    f"{PACKAGE}.triggers.moment.MomentTrigger",
    f"{PACKAGE}.triggers.visiono.VisionoPhotoRequestTrigger",
    f"{PACKAGE}.triggers.visiono_links.VisionoPermanentLinkTrigger",
    f"{PACKAGE}.triggers.vizdom.VizdomExportTrigger",
)
_SAMPLES: dict[str, tuple[Any, ...]] = {"MomentTrigger": (0.0, {})}

# Methods that Airflow calls by name, after it has stored the name for a waiting task.
_CALLED = frozenset({"execute", "execute_complete", "execute_again", "on_kill", "poke", "run", "serialize"})
_DECLARED = ("template_fields", "template_ext", "template_fields_renderers", "ui_color")
_WORKFLOW = (
    *("HOUR", "RETURN_NAMES", "SKEW", "WorkflowReturn"),
    *("build_url", "signature_in", "verify_return", "workflow_url"),
)
_ASSETS = ("photo_request_submission", "photo_requests_submitted", "submission_schedule", "submitted_ids")
_OF_HOOKS = ("conn_name_attr", "default_conn_name", "conn_type", "hook_name")


def take(root: Path) -> dict[str, Any]:
    """Return the public surface as JSON values. Lists are sorted sets."""
    source = Source(root)
    found: dict[str, Any] = {
        "operators": {path: _task(source, path, of) for path, of in _public("operators")},
        "sensors": {path: _task(source, path, of) for path, of in _public("sensors")},
        "triggers": {path: _trigger(source, path) for path in _trigger_paths()},
        "hooks": {path: _hook(source, path, of) for path, of in _public("hooks")},
        "exceptions": {name: source.error(f"{PACKAGE}.exceptions.{name}") for name in _errors()},
        "workflow": {name: source.declared(f"{PACKAGE}.workflow.{name}") for name in _WORKFLOW},
        "assets": {name: source.declared(f"{PACKAGE}.assets.visiono.{name}") for name in _ASSETS},
        "retry_policy": {
            name: source.declared(f"{PACKAGE}.operators.retry_policy.{name}")
            for name in ("visio_retry_policy",)
        },
        "contract": _contract(source),
        **_metadata(),
        **_project(root),
        "keys": literals.keys(root / PACKAGE),
        "metrics": literals.metrics(root / PACKAGE),
        "sandbox_options": literals.options(root / PACKAGE / "sandbox" / "__main__.py"),
    }
    # Last, because these are the TypedDicts that the signatures use.
    return {**found, "records": source.records()}


def lines(found: object, path: str = "") -> Iterator[str]:
    """Yield a surface as lines. Each line has one fact with its full path."""
    if isinstance(found, dict) and found:
        for name, part in found.items():
            yield from lines(part, f"{path} > {name}" if path else str(name))
    elif isinstance(found, list) and found:
        for part in found:
            yield f"{path}: {part!r}"
    else:
        yield f"{path}: {found!r}"


def _public(kind: str) -> Iterator[tuple[str, type]]:
    modules = [name for entry in get_provider_info()[kind] for name in entry["python-modules"]]
    for of in public_classes.public(kind):
        for module in modules:
            if getattr(importlib.import_module(module), of.__name__, None) is of:
                yield f"{module}.{of.__name__}", of


def _task(source: Source, path: str, of: type) -> dict[str, Any]:
    declared = {name: _plain(getattr(of, name)) for name in _DECLARED}
    links = {type(link).__name__: link.name for link in getattr(of, "operator_extra_links", ())}
    return {
        **declared,
        "extra_links": links,
        "parameters": source.parameters(path),
        "methods": source.methods(path, _CALLED),
    }


def _trigger_paths() -> list[str]:
    public = dict(_public("triggers"))
    written = {_instance(of).serialize()[0] for of in public.values()}
    return sorted({*public, *written, *STORED_TRIGGERS})


def _trigger(source: Source, path: str) -> dict[str, Any]:
    of = pkgutil.resolve_name(path)
    return {
        "parameters": source.parameters(path),
        "methods": source.methods(path, _CALLED),
        "stored": sorted(_instance(of).serialize()[1]),
        "supports_triggerer_queue": getattr(of, "supports_triggerer_queue", None),
    }


def _instance(of: type) -> Any:
    return of(*_SAMPLES.get(of.__name__, ("id_1",)))


def _hook(source: Source, path: str, of: type) -> dict[str, Any]:
    return {
        **{name: getattr(of, name) for name in _OF_HOOKS},
        "parameters": source.parameters(path),
        "methods": source.methods(path, frozenset(name for name, _ in public_classes.methods(of))),
    }


def _errors() -> list[str]:
    found = vars(importlib.import_module(f"{PACKAGE}.exceptions"))
    return [
        name
        for name, of in found.items()
        if isinstance(of, type) and issubclass(of, found["VisioProviderError"])
    ]


def _contract(source: Source) -> dict[str, Any]:
    """Return the names of a connection's extra ``contract``, with their defaults."""
    of = pkgutil.resolve_name(source.returned_class(f"{PACKAGE}.hooks.vizdom.VizdomHook", "contract"))
    # Their order matters, so each is one text.
    return {field.name: repr(getattr(of(), field.name)) for field in dataclasses.fields(of)}


def _metadata() -> dict[str, Any]:
    info = get_provider_info()
    connections = {}
    for form in info["connection-types"]:
        look = form["ui-field-behaviour"]
        connections[form["connection-type"]] = {
            "hook": form["hook-class-name"],
            "hidden_fields": sorted(look["hidden-fields"]),
            "relabeled": sorted(look["relabeling"]),
            "base_url": look["placeholders"]["host"],
            "extras": {name: _plain(field["schema"]) for name, field in form["conn-fields"].items()},
        }
    links = {path.rpartition(".")[2]: pkgutil.resolve_name(path).name for path in info["extra-links"]}
    config = {
        section: {
            name: {fact: text for fact, text in option.items() if fact in {"type", "default"}}
            for name, option in about["options"].items()
        }
        for section, about in info["config"].items()
    }
    return {"connections": connections, "extra_links": links, "config": config}


def _project(root: Path) -> dict[str, Any]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return {
        "distribution": project["name"],
        "entry_points": project["entry-points"],
        "scripts": project["scripts"],
        "extras": sorted(project["optional-dependencies"].keys() - {"dev", "docs"}),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return sorted(value, key=str)
    return value
