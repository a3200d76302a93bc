"""The rooms of docs/architecture.md: arrows go one way, no circle, no long module, few modules at the root."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_visio"
ROOT = Path(__file__).parent.parent / PACKAGE

# From the bottom up: a room imports from those before it, and from its own.
ORDER = [
    {"__init__", "exceptions", "clock"},
    {"waiting", "submissions"},
    {"api"},
    {"arguments", "connection_form", "storage"},
    {"webhooks", "gallery"},
    {"hooks"},
    {"idempotency"},
    {"triggers", "workflow"},
    {"task_wait", "extra_links", "assets"},
    {"operators", "sensors"},
    {"get_provider_info", "plugins"},
]


@cache
def imports() -> dict[str, set[str]]:
    """Return which of the package's modules each one imports, also for types alone and inside functions."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts))
        targets = found.setdefault(name.removesuffix(".__init__"), set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
                base = Path(ROOT.parent, *str(node.module).split("."))
                targets |= {
                    f"{node.module}.{one.name}" if (base / f"{one.name}.py").exists() else str(node.module)
                    for one in node.names
                }
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_arrows_go_one_way():
    rank = {name: level for level, rooms in enumerate(ORDER) for name in rooms}
    upward = [
        f"{module} -> {target}"
        for module, targets in imports().items()
        for target in targets
        if "sandbox" not in {room(module), room(target)} and rank[room(target)] > rank[room(module)]
    ]
    assert upward == []


def test_the_sandbox_and_the_client_share_no_code():
    crossing = [
        f"{module} -> {target}"
        for module, targets in imports().items()
        for target in targets
        if (room(module) == "sandbox") != (room(target) == "sandbox")
    ]
    assert [arrow for arrow in crossing if not arrow.endswith(f"-> {PACKAGE}")] == []


def test_the_gallery_is_a_room_of_its_own():
    """What it costs and what it lends, only the API server has: the plugin alone reaches it."""
    others = {
        f"{module} -> {target}"
        for module, targets in imports().items()
        for target in targets
        if room(target) == "gallery" and room(module) not in {"gallery", "plugins"}
    }
    assert others == set()
    reads = {
        room(target)
        for module, targets in imports().items()
        if room(module) == "gallery"
        for target in targets
    }
    assert reads <= {"gallery", "storage", "exceptions", "clock", "__init__"}


def test_there_is_no_circle():
    try:
        TopologicalSorter({m: t - {m, PACKAGE} for m, t in imports().items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_module_is_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 500} == {}


def test_few_modules_are_at_the_root():
    assert len([path for path in ROOT.glob("*.py") if path.name != "__init__.py"]) <= 11
