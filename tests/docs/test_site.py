"""The parts of the site that Sphinx does not check: facts of parameters, folders of versions. `make docs` builds it."""

from __future__ import annotations

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor
from dev.site import reference, versions


def described(of: type) -> list[str]:
    lines = (of.__doc__ or "").replace("\n    ", "\n").splitlines()
    reference.describe(None, "class", "", of, None, lines)
    return lines


def test_a_parameter_says_its_default_its_type_and_whether_it_is_templated():
    text = "\n".join(described(VisionoCreatePhotoRequestOperator))
    assert (
        ":param instructions: what the recipient reads.\n    Required, templated.\n:type instructions: str\n"
        in text
    )
    # Declared by a base class.
    assert "4 by default.\n    Default: ``None``.\n:type parallel_downloads: int | None\n" in text
    assert "Buttons in Airflow's UI: *Photo request*, *Photos*.\n\n:param instructions:" in text
    assert ":doc:`/docs/reliability`" in text


def test_a_parameter_of_airflow_s_own_leaves_its_default_to_airflow():
    lines = described(VisionoPhotoRequestSensor)
    at = next(at for at, line in enumerate(lines) if line.startswith(":param soft_fail:"))
    assert lines[at + 1] == "    Default: Airflow's."
    assert not lines[at + 2].startswith(":type")


def test_versions_stand_beside_each_other_and_stable_is_the_newest_release(tmp_path):
    built, folder = tmp_path / "built", tmp_path / "pages"
    (folder / ".git").mkdir(parents=True)
    for version in ("1.9.0", "1.10.0", "1.10.1rc1", "1.2.3"):
        built.mkdir(exist_ok=True)
        (built / "index.html").write_text(version)
        versions.add(built, folder, version)
    assert versions.names(folder) == ["1.10.1rc1", "1.10.0", "1.9.0", "1.2.3"]
    assert (folder / "stable" / "index.html").read_text() == "1.10.0"
    assert (folder / "1.2.3" / "index.html").read_text() == "1.2.3"
    assert (folder / "versions.html").read_text().count("<li>") == 5
    assert (folder / ".nojekyll").exists()


def test_a_version_that_is_built_again_leaves_no_old_page(tmp_path):
    built, folder = tmp_path / "built", tmp_path / "pages"
    built.mkdir()
    folder.mkdir()
    (built / "old.html").touch()
    versions.add(built, folder, "1.0.0rc1")
    (built / "old.html").rename(built / "new.html")
    versions.add(built, folder, "1.0.0rc1")
    assert [one.name for one in (folder / "1.0.0rc1").iterdir()] == ["new.html"]
    assert (folder / "stable" / "new.html").exists()
