"""Messages between the processes of a measurement, as JSON files in a folder."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

# The first trigger of a triggerer imports all modules, so it is not measured.
WARM_UP_ID = 1
# Real seconds, and further seconds for each trigger, until the measurement begins even if not all have started.
START_LIMIT, START_LIMIT_EACH = 20.0, 0.01


def write_message(folder: Path, name: str, content: Json) -> None:
    """Write a message. A reader sees all of it or nothing."""
    partial = folder / f".{name}.{os.getpid()}"
    partial.write_text(json.dumps(content))
    partial.replace(folder / f"{name}.json")


def read_message(folder: Path, name: str) -> Json | None:
    """Return a message, or None if it does not exist yet."""
    try:
        content: Json = json.loads((folder / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return content


async def wait_for_message(folder: Path, name: str) -> Json:
    """Wait for a message, and return it."""
    while (content := read_message(folder, name)) is None:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.02)
    return content
