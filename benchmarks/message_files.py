"""Notes that the processes of a measurement leave for one another: whole JSON files in a folder."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

# The first trigger of a triggerer loads what the others need; what it costs is not theirs.
WARM_UP_ID = 1
# Real seconds, and more for each trigger, after which the measuring begins though not all have started.
START_LIMIT, START_LIMIT_EACH = 20.0, 0.01


def leave(folder: Path, name: str, content: Json) -> None:
    """Write a note; readers see all of it or nothing."""
    partial = folder / f".{name}.{os.getpid()}"
    partial.write_text(json.dumps(content))
    partial.replace(folder / f"{name}.json")


def find(folder: Path, name: str) -> Json | None:
    """Return a note, or None while there is none."""
    try:
        content: Json = json.loads((folder / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return content


async def appears(folder: Path, name: str) -> Json:
    """Wait for a note, and return it."""
    while (content := find(folder, name)) is None:  # noqa: ASYNC110 - another process leaves it
        await asyncio.sleep(0.02)
    return content
