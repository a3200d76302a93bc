"""What `make dist` refuses, and what the declared requirements allow."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev.dist import changelog_errors, contents_errors

ROOT = Path(__file__).parents[2]
CONSTRAINTS = sorted((ROOT / "constraints").glob("airflow-*.txt"))
CHANGES = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n"
NONE = "# Changelog\n\n## [Unreleased]\n\n"
RELEASE = "## [0.2.0] - 2026-12-01\n\n### Added\n\n- An older thing.\n"


def pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.stem)
def test_the_package_installs_under_the_constraints_of_each_airflow(path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = pins(path)
    wanted = [
        Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["smtp"]
    ]
    assert {one.name for one in wanted} <= set(pinned)
    assert [str(one) for one in wanted if not one.specifier.contains(pinned[one.name])] == []


def test_constraints_are_names_and_versions():
    assert [path.stem for path in CONSTRAINTS] == ["airflow-3.1", "airflow-3.2", "airflow-3.3"]
    for path in CONSTRAINTS:
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][a-z0-9.+]*", line), line


def test_contents_differ():
    assert contents_errors({"a", "b"}, {"a", "b"}) == []
    assert contents_errors({"a", "tests/b"}, {"a", "c"}) == [
        "missing: c",
        "not in dist_contents.txt: tests/b",
    ]


@pytest.mark.parametrize(
    ("changelog", "version", "tag", "words"),
    [
        (CHANGES, "0.1.0", None, []),
        (CHANGES + RELEASE, "0.3.0", None, []),
        (NONE + RELEASE, "0.2.0", None, []),
        (RELEASE, "0.2.0", "v0.2.0", []),
        (CHANGES + RELEASE, "0.2.0", None, ["has changes since 0.2.0"]),
        (NONE + RELEASE, "0.3.0", None, ["does not say what changed in 0.3.0"]),
        (NONE, "0.1.0", None, ["does not say what changed in 0.1.0"]),
        (NONE + RELEASE, "0.2.0", "v0.2.1", ["the tag is v0.2.1"]),
        (CHANGES + RELEASE, "0.2.0", "v0.2.0", ["unreleased changes"]),
        (CHANGES, "0.1.0", "v0.1.0", ["newest release is not 0.1.0", "unreleased changes"]),
        ("## [0.2.0]\n\n- A thing.\n", "0.2.0", "v0.2.0", ["no date for 0.2.0"]),
    ],
)
def test_version_and_changelog(changelog, version, tag, words):
    errors = changelog_errors(changelog, version, tag)
    assert len(errors) == len(words), errors
    for word, error in zip(words, errors, strict=True):
        assert word in error
