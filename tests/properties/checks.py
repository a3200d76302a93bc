"""What each error's text must be."""

from __future__ import annotations

from airflow_provider_visio.api.call import Call
from airflow_provider_visio.exceptions import VisioProviderError
from properties.values import KEY


def check_error(error: VisioProviderError, call: Call) -> None:
    """Check that an error names the connection, is unsure only of a call that changes something, and can be told."""
    assert error.conn_id == "my_visiono"
    assert not error.ambiguous or call.changes
    check_text(f"{error} {error.request_id}")
    for name, problems in getattr(error, "fields", {}).items():
        check_text(" ".join([name, *problems]))


def check_text(text: str) -> None:
    """Check that a text has no key, and that a log can take it."""
    assert KEY not in text
    assert len(text) < 20_000
    check_written(text)


def check_written(text: str) -> None:
    """Check that a text can be written: Airflow's log, XCom and events are UTF-8, and fail otherwise."""
    text.encode()
