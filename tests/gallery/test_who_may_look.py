"""Nobody sees what Airflow would not show, and no request chooses a path."""

from __future__ import annotations

import os

import pytest

from gallery.stored import PHOTO, store

KINDS = ("photos", "picture", "file", "manifest", "archive")


def ask(gallery, kind: str, **more):
    if kind in {"picture", "file"}:
        return gallery.file(kind=kind, **more)
    return gallery.get(kind, **({"manifest": 0} if kind == "manifest" else {}), **more)


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_to_read_task_instance_and_xcom(gallery, tmp_path, kind):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    assert ask(gallery, kind).status_code == 200
    for dag_id in ("hidden", "no_xcoms"):
        assert ask(gallery, kind, dag_id=dag_id).status_code == 403
    for dag_id in ("", "~"):  # which Airflow takes for all DAGs
        assert ask(gallery, kind, dag_id=dag_id).status_code in {400, 403}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stranger(gallery, tmp_path, kind):
    from airflow.api_fastapi.core_api import security

    from airflow_provider_visio.gallery.app import app

    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    del app.dependency_overrides[security.get_user]
    reply = ask(gallery, kind)
    assert reply.status_code == 401
    assert "You are not logged in." in reply.text
    app.dependency_overrides[security.get_user] = lambda: "viewer"


def test_of_two_dags_in_an_address_the_one_that_is_checked_is_read(gallery, tmp_path):
    """Else a user could name a DAG that may be read for the check, and another one for the files."""
    from airflow_provider_visio.gallery import task_output

    seen = []
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    output = task_output._output
    task_output._output = lambda task: seen.append(task.dag_id) or output(task)
    reply = gallery._client.get("/photos?dag_id=hidden&dag_id=claims&run_id=1&task_id=store")
    assert (reply.status_code, seen) == (200, ["claims"])
    assert (
        gallery._client.get("/photos?dag_id=claims&dag_id=hidden&run_id=1&task_id=store").status_code == 403
    )
    task_output._output = output


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "path",
    ["{home}/../secret.jpg", "{other}/secret.jpg", "{home}/sub/secret.jpg", "{home}/..", "{home}/a\\b"],
)
def test_a_manifest_that_leaves_its_folder_is_refused(gallery, tmp_path, kind, path):
    for folder in (tmp_path, tmp_path / "job" / "sub", tmp_path / "other"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secret.jpg").write_bytes(PHOTO)
    home, other = f"file://{tmp_path}/job", f"file://{tmp_path}/other"
    wrong = path.format(home=home, other=other)
    output = store(tmp_path / "job", {"secret.jpg": PHOTO}, entries={"secret.jpg": {"path": wrong}})
    gallery.has(output)
    reply = ask(gallery, kind)
    if kind == "photos":
        assert "lists a file that is not in its own folder" in reply.text
        assert "<img src" not in reply.text
    elif kind == "archive":
        assert PHOTO not in reply.content
    else:
        assert reply.status_code == 403
        assert "lists a file that is not in its own folder" in reply.text


def test_an_output_that_leaves_the_folder_gets_no_file(gallery, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    output = store(tmp_path / "job", {"car.jpg": PHOTO})
    output["files"][0]["path"] = f"file://{tmp_path}/secret.jpg"
    gallery.has(output)
    assert gallery.picture().status_code == 404
    assert "no longer in the manifest" in gallery.get("photos").text


@pytest.mark.parametrize("name", ["passwords.json", "manifest.json.bak", "manifest", "x-manifest.json", ""])
def test_only_a_manifest_is_opened_as_one(gallery, tmp_path, name):
    output = store(tmp_path, {"car.jpg": PHOTO})
    (tmp_path / "manifest.json").rename(tmp_path / (name or "none"))
    gallery.has({**output, "manifest": f"file://{tmp_path}/{name}"})
    assert "is not the name of a manifest" in gallery.get("photos").text
    assert gallery.picture().status_code == 403


@pytest.mark.parametrize(
    "manifest",
    [
        "http://127.0.0.1/manifest.json",
        "file:///a/../b/manifest.json",
        "manifest.json",
        "simplecache::http://h/manifest.json",
    ],
)
def test_a_place_that_is_no_destination_is_not_opened(gallery, tmp_path, manifest):
    gallery.has({**store(tmp_path, {"car.jpg": PHOTO}), "manifest": manifest})
    assert gallery.picture().status_code == 502
    assert "cannot open the folder of the manifest" in gallery.get("photos").text


@pytest.mark.parametrize(
    "changes", [{"service": "other"}, {"id": "req_2"}, {"files": {}}, {"path": "file:///x/other.json"}]
)
def test_a_manifest_of_another_shape_is_not_shown(gallery, tmp_path, changes):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}, **changes))
    page = gallery.get("photos")
    assert page.status_code == 200
    assert "<img src" not in page.text
    assert 'role="alert"' in page.text
    assert gallery.picture().status_code in {403, 422}


@pytest.mark.parametrize("how", ["link", "pipe"])
def test_a_link_on_disk_is_not_followed(gallery, tmp_path, how):
    """The API server may read files that the author of a DAG may not."""
    output = store(tmp_path / "job", {"car.jpg": PHOTO})
    file = tmp_path / "job" / "car.jpg"
    file.unlink()
    if how == "link":
        (tmp_path / "airflow.cfg").write_bytes(PHOTO)
        file.symlink_to(tmp_path / "airflow.cfg")
    else:
        os.mkfifo(file)
    gallery.has(output)
    assert gallery.picture().status_code == 502
    assert gallery.file().status_code == 502
    assert PHOTO not in gallery.get("archive").content


def test_a_picture_of_a_file_that_has_changed(gallery, tmp_path):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    assert gallery.picture(sha256="0" * 16).status_code == 409
    assert gallery.picture(sha256="").status_code == 409
    gallery.has([store(tmp_path, {"car.jpg": PHOTO})])
    assert gallery.file(manifest=0).status_code == 200
    assert gallery.get("manifest", manifest=1).status_code == 409


def test_the_address_of_a_file_has_no_path(gallery, tmp_path):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    assert str(tmp_path) not in gallery.get("photos").text


@pytest.mark.parametrize("kind", [*KINDS, "static/gallery.js", "static/other"])
def test_headers(gallery, tmp_path, kind):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    reply = ask(gallery, kind)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    if not kind.startswith("static/g"):
        assert "private" in reply.headers["cache-control"]
    if kind in {"file", "manifest", "archive"}:
        assert reply.headers["content-disposition"].startswith("attachment;")
