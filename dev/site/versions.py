"""Put a built site beside those of other versions: `python -m dev.site.versions BUILT FOLDER VERSION`."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
{body}
"""


def add(built: Path, folder: Path, version: str) -> None:
    """Copy a site to its version's folder, and update `stable/` and the page of versions.

    :param built: the site
    :param folder: what is published, with a folder for each version
    :param version: such as 1.2.3
    """
    _replace(folder / version, built)
    versions = names(folder)
    stable = next((one for one in versions if one.replace(".", "").isdigit()), versions[0])
    _replace(folder / "stable", folder / stable)
    items = "\n".join(f'<li><a href="{one}/">{one}</a></li>' for one in versions)
    listed = f'<h1>airflow-provider-visio</h1>\n<ul>\n<li><a href="stable/">stable</a></li>\n{items}\n</ul>'
    (folder / "versions.html").write_text(
        PAGE.format(title="Versions of airflow-provider-visio", body=listed)
    )
    forward = '<meta http-equiv="refresh" content="0; url=stable/">\n<a href="stable/">Documentation</a>'
    (folder / "index.html").write_text(PAGE.format(title="airflow-provider-visio", body=forward))
    # GitHub Pages would leave out folders such as _static.
    (folder / ".nojekyll").touch()


def names(folder: Path) -> list[str]:
    """Return the versions in a folder, the newest first; a pre-release such as 1.2.3rc1 comes after its release."""
    order = {}
    for one in folder.iterdir():
        if match := re.fullmatch(r"(\d+(?:\.\d+)*)(.*)", one.name):
            order[one.name] = [int(part) for part in match[1].split(".")], not match[2], match[2]
    return sorted(order, key=order.__getitem__, reverse=True)


def _replace(target: Path, source: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("built", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("version")
    args = parser.parse_args()
    add(args.built, args.folder, args.version)
