"""
The tag of an object that a task creates, by which a later try finds it in the service's list.

Operators import this when a DAG file is parsed, so it imports little.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

# Keys of the tag in a request's metadata.
TASK_KEY = "airflow_task"
INPUT_KEY = "airflow_input"
ASK_KEY = "airflow_ask"


def fingerprint(value: object, length: int) -> str:
    """Return a text of ``length`` digits that is the same for equal JSON values."""
    text = json.dumps(_plain(value), sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def _plain(value: object) -> object:
    """Return a value whose dicts have text as keys, which JSON can sort."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
