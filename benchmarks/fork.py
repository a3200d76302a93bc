"""Run a function in a forked process, as Airflow runs a task: without the memory of an earlier one."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.message_files import Json


async def run_in_fork(work: Callable[[], Json]) -> Json:
    """Run a function in a forked process.

    :return: the function's result, or `{"failed": traceback}`
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _carry_out(work, writing)
    os.close(writing)
    content = await _read(reading)
    os.waitpid(child, 0)  # noqa: ASYNC222 - the child has closed its pipe, so it ends at once
    answer: Json = json.loads(content) if content else {"failed": "its process ended without a result"}
    return answer


def _carry_out(work: Callable[[], Json], writing: int) -> None:
    try:
        try:
            answer = work()
        except BaseException:  # noqa: BLE001 - the parent gets every error
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
