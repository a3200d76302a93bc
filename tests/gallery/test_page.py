"""The page: what a task stored, in words, page by page; and sentences where there is nothing to see."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from gallery.stored import PHOTO, store

PNG = b"\x89PNG\r\n\x1a\n"
PDF = b"%PDF-1.7\n%%EOF"


def test_photos_with_time_place_check_and_size(gallery, tmp_path):
    gallery.has(
        store(
            tmp_path,
            {"car.jpg": PHOTO, "dent.jpg": PHOTO},
            entries={
                "dent.jpg": {
                    "item": "The dent",
                    "check": "damaged",
                    "check_note": "the end of the picture is missing",
                }
            },
        )
    )
    reply = gallery.get("photos")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for words in (
        "<h1>Photos</h1>",
        "The whole car",
        "The dent",
        "30 Nov 2026, 15:49 UTC",
        "46.08162, 11.13578",
        "37 kB",
        "looks whole",
        "looks damaged: the end of the picture is missing",
    ):
        assert words in reply.text


def test_what_the_output_does_not_say_the_page_does_not_say(gallery, tmp_path):
    """With photo_details=False."""
    output = store(tmp_path, {"car.jpg": PHOTO})
    del output["files"][0]["gps"], output["files"][0]["taken_at"]
    gallery.has(output)
    page = gallery.get("photos").text
    assert "46.08" not in page
    assert "submitted 30 Nov 2026, 15:50 UTC" in page


def test_photos_of_an_item_stand_together(gallery, tmp_path):
    names = [f"{number}.jpg" for number in range(4)]
    gallery.has(
        store(
            tmp_path,
            dict.fromkeys(names, PHOTO),
            entries={name: {"item": "AB"[number % 2]} for number, name in enumerate(names)},
        )
    )
    page = gallery.get("photos").text
    assert [part[:1] for part in page.split('<p class="name">')[1:]] == ["A", "A", "B", "B"]


def test_the_output_of_the_operator_that_asks(gallery, tmp_path):
    gallery.has({"id": "req_1", "status": "submitted", "photos": store(tmp_path, {"car.jpg": PHOTO})})
    assert "1 file, 37 kB" in gallery.get("photos").text


def test_an_export(gallery, tmp_path):
    stored = store(
        tmp_path,
        {"weekly.pdf": PDF},
        service="Vizdom",
        job_id="exp_1",
        entries={"weekly.pdf": {"item": None}},
    )
    gallery.has({"id": "exp_1", "dashboard_id": "dash_1", **stored})
    page = gallery.get("photos").text
    assert "<h1>Files</h1>" in page
    assert "weekly.pdf" in page
    assert "<img src" not in page
    reply = gallery.file()
    assert (reply.content, reply.headers["content-type"]) == (PDF, "application/octet-stream")


def test_files_that_were_not_fetched_are_named(gallery, tmp_path):
    failed = [{"key": "ph_7", "item": "The dent", "reason": "the service gives no link for it"}]
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}, failed=failed))
    page = gallery.get("photos").text
    assert "Not fetched" in page
    assert "ph_7" in page
    assert "the service gives no link for it" in page


def test_hundreds_come_page_by_page(gallery, tmp_path):
    jobs = [
        store(tmp_path / str(at), {f"{number}.jpg": PHOTO for number in range(50)}, job_id=f"req_{at}")
        for at in range(10)
    ]
    gallery.has(
        [
            *jobs,
            {
                "id": "req_x",
                "manifest": None,
                "files": [],
                "failed": [{"key": "req_x", "item": None, "reason": "It has no photos."}],
            },
        ]
    )
    counts, page = [], ""
    for number in range(1, 10):
        page = gallery.get("photos", page=number).text
        counts.append(page.count("<img src"))
    assert counts == [60] * 8 + [20]
    assert "It has no photos." in page
    assert "Page 9 of 9" in page
    assert gallery.get("photos", page=10).status_code == 404
    assert gallery.picture(49, manifest=9).status_code == 200


def test_words_from_outside_are_escaped(gallery, tmp_path):
    gallery.has(
        store(
            tmp_path,
            {"car.jpg": PHOTO},
            job_id="<b>",
            entries={
                "car.jpg": {"item": "<script>alert('\"')</script>", "check_note": "<i>", "check": '"><i>'}
            },
            failed=[{"key": "<u>", "item": None, "reason": "<s>"}],
        )
    )
    page = gallery.get("photos", task_id="store").text
    for tag in ("<b>", "<script>alert", "<i>", "<u>", "<s>"):
        assert tag not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        7,
        {},
        {"id": "req_1"},
        {"photos": 3},
        [{"id": 1}],
        {"id": "x", "manifest": "y", "files": [1]},
    ],
)
def test_an_output_that_is_not_ours(gallery, output):
    gallery.has(output)
    reply = gallery.get("photos")
    assert reply.status_code == 404
    assert "does not list stored files" in reply.text


def test_sentences_for_what_is_gone(gallery, tmp_path):
    output = store(tmp_path, {"car.jpg": PHOTO, "dent.jpg": PHOTO})
    gallery.has(output)
    (tmp_path / "car.jpg").unlink()
    assert "car.jpg is not there (any more)" in gallery.picture(0).text
    (tmp_path / "manifest.json").write_text(json.dumps({"files": []}))
    assert "does not have the shape" in gallery.get("photos").text
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    assert "does not have the shape" in gallery.get("photos").text
    (tmp_path / "manifest.json").unlink()
    assert "manifest.json is not there (any more)" in gallery.get("photos").text
    gallery.has({**output, "manifest": "s3://claims/req_1/manifest.json"})
    assert "The API server cannot open the folder" in gallery.get("photos").text


def test_a_store_that_fails(gallery, tmp_path, monkeypatch):
    from airflow_provider_visio.storage.store_folder import StoreFolder

    def refuse(place: StoreFolder, name: str) -> None:
        raise PermissionError("AKIA_SECRET")

    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    monkeypatch.setattr(StoreFolder, "open_to_read", refuse)
    page = gallery.get("photos").text
    assert "The API server cannot read" in page
    assert "PermissionError" in page
    assert "AKIA_SECRET" not in page


def test_an_address_that_is_not_complete(gallery):
    reply = gallery._client.get("/photos?dag_id=claims", headers={"Accept": "text/html"})
    assert reply.status_code == 400
    assert "This address is not complete." in reply.text
    assert gallery._client.get("/nothing").text == "There is no such page in the gallery."


def test_a_fault_of_ours_is_a_sentence(gallery, monkeypatch):
    from airflow_provider_visio.gallery import app

    monkeypatch.setattr(app, "read_page", lambda *_: 1 / 0)
    gallery.has([])
    reply = gallery.get("photos")
    assert (reply.status_code, "The gallery failed." in reply.text) == (500, True)


def test_one_file_with_quotes_and_an_emoji(gallery, tmp_path):
    name = 'the "dent" 🚗 50%.jpg'
    gallery.has(store(tmp_path, {name: PHOTO}))
    reply = gallery.file()
    assert reply.content == PHOTO
    assert reply.headers["content-disposition"] == (
        'attachment; filename="the _dent_ _ 50_.jpg"; '
        "filename*=UTF-8''the%20%22dent%22%20%F0%9F%9A%97%2050%25.jpg"
    )


def test_all_files_as_an_archive(gallery, tmp_path):
    gallery.has(
        [store(tmp_path / one, {f"{one}.jpg": PHOTO, "gone.jpg": PHOTO}, job_id=one) for one in ("a", "b")]
    )
    (tmp_path / "b" / "gone.jpg").unlink()
    reply = gallery.get("archive")
    assert 'filename="store.zip"' in reply.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "a/manifest.json",
            "a/a.jpg",
            "a/gone.jpg",
            "b/manifest.json",
            "b/b.jpg",
            "missing-files.txt",
        ]
        assert archive.read("b/b.jpg") == PHOTO
        assert "b/gone.jpg: file://" in archive.read("missing-files.txt").decode()


def test_an_archive_is_sent_while_it_is_written():
    from airflow_provider_visio.gallery.archive import zip_of

    opened = []

    def opener(name):
        opened.append(name)
        return io.BytesIO(bytes(3 * 2**20))

    parts = zip_of((name, lambda name=name: opener(name)) for name in "abc")
    assert len(next(parts)) >= 2**20
    assert opened == ["a"]
    assert max(len(part) for part in parts) < 2**21


def test_a_manifest(gallery, tmp_path):
    gallery.has(store(tmp_path, {"car.jpg": PHOTO}))
    reply = gallery.get("manifest", manifest=0)
    assert reply.content == (tmp_path / "manifest.json").read_bytes()
    assert 'filename="manifest.json"' in reply.headers["content-disposition"]
