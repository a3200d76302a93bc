"""What `make dist` refuses."""

from __future__ import annotations

import pytest

from dev.dist import changelog_errors, contents_errors

CHANGES = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n\n"
NONE = "# Changelog\n\n## [Unreleased]\n\n"
RELEASE = "## [0.2.0] - 2026-12-01\n\n### Added\n\n- An older thing.\n"


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
