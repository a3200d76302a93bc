"""
`make dist`: compare the built sdist and wheel with the recorded contents, and the version with the changelog.

`python -m dev.dist --write` records the contents. `--tag v1.2.3` checks that this release can be published.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENTS = ROOT / "dev" / "dist_contents.txt"


def names(wheel: Path, sdist: Path, version: str) -> set[str]:
    """Return the files of a wheel and an sdist, without the version, and in which of the two each is if not in both."""
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name.replace(f"-{version}.dist-info/", ".dist-info/") for name in archive.namelist()}
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive.getmembers()}
    both = in_wheel & in_sdist
    return (
        both | {f"wheel: {name}" for name in in_wheel - both} | {f"sdist: {name}" for name in in_sdist - both}
    )


def contents_errors(found: set[str], recorded: set[str]) -> list[str]:
    """Return a line for each file that is missing or was added."""
    return [
        *(f"missing: {name}" for name in sorted(recorded - found)),
        *(f"not in {CONTENTS.name}: {name}" for name in sorted(found - recorded)),
    ]


def changelog_errors(changelog: str, version: str, tag: str | None = None) -> list[str]:
    """
    Return why the version and the changelog disagree.

    :param tag: the tag to publish. Without one, unreleased changes need a version above the last release.
    """
    sections = re.findall(r"^## \[(.+?)\](.*)\n([^#]*(?:^###.*\n[^#]*)*)", changelog, re.MULTILINE)
    unreleased = any(name == "Unreleased" and text.strip() for name, _, text in sections)
    releases = [(name, dated) for name, dated, _ in sections if name != "Unreleased"]
    errors = []
    if tag is not None:
        if tag != f"v{version}":
            errors.append(f"the tag is {tag}, the package's version {version}")
        if not releases or releases[0][0] != version:
            errors.append(f"the changelog's newest release is not {version}")
        elif not re.fullmatch(r" - \d{4}-\d\d-\d\d", releases[0][1]):
            errors.append(f"the changelog has no date for {version}")
        if unreleased:
            errors.append("the changelog has unreleased changes")
    elif unreleased and releases and _numbers(version) <= _numbers(releases[0][0]):
        errors.append(
            f"the changelog has changes since {releases[0][0]}, but the package's version is {version}"
        )
    elif not unreleased and (not releases or releases[0][0] != version):
        errors.append(f"the changelog does not say what changed in {version}")
    return errors


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def main() -> int:
    """Check what is in ``dist/``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="record the contents")
    parser.add_argument("--tag", help="the tag to publish")
    options = parser.parse_args()
    archives = sorted((ROOT / "dist").glob("*"))
    if [archive.suffix for archive in archives] != [".whl", ".gz"]:
        print("dist/ must have one sdist and one wheel: run `make dist`", file=sys.stderr)
        return 1
    wheel, sdist = archives
    version = wheel.name.split("-")[1]
    found = names(wheel, sdist, version)
    if options.write:
        CONTENTS.write_text("".join(f"{name}\n" for name in sorted(found)))
    errors = contents_errors(found, set(CONTENTS.read_text().splitlines()))
    errors += changelog_errors((ROOT / "CHANGELOG.md").read_text(), version, options.tag)
    for error in errors:
        print(error, file=sys.stderr)
    if not errors:
        print(f"dist: {wheel.name} and the sdist: {len(found)} files as recorded")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
