"""How long a 429 asks to wait."""

from __future__ import annotations

import pytest

from airflow_provider_visio.api.reply import retry_after

# 2026-01-01T00:00:00Z
NOW = 1767225600.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("86400", 86400.0),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 01:00:30 +0100", 30.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("", None),
        ("Thu, 99 Jan 2026 00:00:30 GMT", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 -9999999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert retry_after({"retry-after": header}, now=NOW) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (f"{NOW + 42:.0f}", 42.0),
        (f"{NOW + 7200:.0f}", 7200.0),
        (f"{NOW:.0f}", None),
        (f"{NOW - 1:.0f}", None),
        (f"{NOW + 7201:.0f}", None),
        (f"{NOW + 86400 * 3:.0f}", None),
        (f"{(NOW + 42) * 1000:.0f}", None),
        ("42", None),
        ("1609459200", None),
        ("0", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_the_reset_is_a_time_soon_to_come(reset, seconds):
    assert retry_after({"x-ratelimit-reset": reset}, now=NOW) == seconds


def test_retry_after_comes_before_the_reset():
    assert retry_after({"retry-after": "5", "x-ratelimit-reset": f"{NOW + 60:.0f}"}, now=NOW) == 5.0


@pytest.mark.parametrize("nonsense", ["soon", "-5", "nan", "Wed, 31 Dec 2025 23:59:00 GMT"])
def test_a_nonsense_retry_after_leaves_the_word_to_the_reset(nonsense):
    assert retry_after({"retry-after": nonsense, "x-ratelimit-reset": f"{NOW + 60:.0f}"}, now=NOW) == 60.0


def test_no_header_means_no_word():
    assert retry_after({}, now=NOW) is None
