"""
Faults that are known and not mended yet, so that the properties go on to look for others.

Each has its smallest example in test_known_faults.py, which fails once the fault is mended: then both go.
"""

from __future__ import annotations

import re
import traceback

from airflow_provider_visio.exceptions import VisioProviderError

# (end of the file's path, function, error): where an error of the wrong kind comes out, or a check fails.
KNOWN: set[tuple[str, str, type[Exception]]] = {
    ("api/call.py", "call", KeyError),
    ("api/call.py", "call", ValueError),
    ("api/call.py", "url", UnicodeEncodeError),
    ("api/client.py", "_exchange", OverflowError),
    ("api/client.py", "_exchange", ExceptionGroup),
    ("api/client.py", "_exchange", ValueError),
    ("api/client.py", "_get_file", ValueError),
    ("api/client.py", "_next_hop", ValueError),
    ("api/lookout.py", "_iso", ValueError),
    ("api/pages.py", "_after", TypeError),
    ("api/pages.py", "_after", ValueError),
    ("api/reply.py", "retry_after", OverflowError),
    ("api/visiono.py", "_gps", OverflowError),
    ("airflow_provider_visio/intent.py", "_fingerprint", TypeError),
    ("airflow_provider_visio/intent.py", "from_json", OverflowError),
    ("airflow_provider_visio/waiting.py", "error_of_photo_requests", TypeError),
    ("airflow_provider_visio/waiting.py", "error_of_exports", TypeError),
    ("properties/checks.py", "check_written", UnicodeEncodeError),
    ("properties/test_connections.py", "check_port", AssertionError),
    ("properties/test_connections.py", "check_port", ValueError),
    ("properties/test_kept.py", "check_moment", AssertionError),
    ("properties/test_words.py", "check_words", AssertionError),
    ("properties/test_names.py", "check_folders", AssertionError),
    ("properties/test_names.py", "check_titles", AssertionError),
}


def is_known(error: Exception) -> bool:
    """Return whether an error comes out of a place that is known for it."""
    if isinstance(error, VisioProviderError):
        return False
    frames = [(frame.filename, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
    return any(
        isinstance(error, kind) and name == function and path.endswith(file)
        for file, function, kind in KNOWN
        for path, name in frames
    )


def without_request_id(text: str) -> str:
    """Return an error's text without the service's id of the call, which may have the key in it."""
    return re.sub(r"request_id .*, connection", "connection", text, flags=re.DOTALL)
