"""Start Debian's Chromium, which Playwright drives."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from dev.processes import DevError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser without a window.

    :raises DevError: it is not installed
    """
    program = shutil.which("chromium")
    if program is None:
        raise DevError("Debian's package chromium is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
