"""The HTTP libraries log addresses; the signature of a file's link must not be in them."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_visio.api.client import Client
from api.local_server import Answer

# Its second line is no header, which the library warns of.
ODD = Answer(200, b"bytes", {"X-Odd": "a\r\nno header at all"})


@pytest.mark.parametrize(
    ("query", "level", "told"),
    [
        ("expires=1&signature=abcdef", logging.WARNING, "Failed to parse headers"),
        ("X-Amz-Security-Token=abcdef&X-Amz-Expires=60", logging.WARNING, "Failed to parse headers"),
        ("sv=2024&sig=abcdef", logging.DEBUG, '"GET /photos/1.jpg?... HTTP/1.1" 200'),
    ],
)
def test_what_the_library_logs_of_a_download_has_no_signature(serve, config_at, caplog, query, level, told):
    config = config_at(serve(Answer()).url)
    client = Client(config, lambda: config)
    with caplog.at_level(level), client.open(f"{serve(ODD).url}/photos/1.jpg?{query}") as download:
        assert download.status == 200
    client.close()
    assert told in caplog.text
    assert "/photos/1.jpg?..." in caplog.text
    assert "abcdef" not in caplog.text
