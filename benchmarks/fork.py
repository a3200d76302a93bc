"""Work in a forked process, as a task is run: it remembers nothing of the one before."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.message_files import Json


async def forked(work: Callable[[], Json]) -> Json:
    """Return what the work gave, or `{"failed": why}`."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _carry_out(work, writing)
    os.close(writing)
    content = await _read(reading)
    os.waitpid(child, 0)  # noqa: ASYNC222 - it has closed its pipe, so it is about to end
    answer: Json = json.loads(content) if content else {"failed": "its process was lost"}
    return answer


def _carry_out(work: Callable[[], Json], writing: int) -> None:
    try:
        try:
            answer = work()
        except BaseException:  # noqa: BLE001 - the parent is told of everything
            answer = {"failed": traceback.format_exc()}
        with os.fdopen(writing, "w") as pipe:
            pipe.write(json.dumps(answer))
    finally:
        os._exit(0)


async def _read(reading: int) -> bytes:
    stream = asyncio.StreamReader()
    with os.fdopen(reading, "rb") as pipe:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        content = await stream.read()
        transport.close()
    return content
