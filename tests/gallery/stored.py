"""Files as the operators store them, written at once: for the gallery, which only reads them."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import airflow_provider_visio
from airflow_provider_visio.storage.manifest import summary
from airflow_provider_visio.storage.media_types import media_type_of

SAMPLES = Path(airflow_provider_visio.__file__).parent / "sandbox" / "sample_photos"
PHOTO = (SAMPLES / "car.jpg").read_bytes()
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>parent.document.title = 'taken over'</script>"


def store(
    folder: Path,
    files: dict[str, bytes],
    /,
    *,
    job_id: str = "req_1",
    service: str = "Visiono",
    failed: list[dict[str, Any]] | None = None,
    entries: dict[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """
    Store files with a manifest, and return the task's output.

    :param entries: changes to the manifest's entry of a file, by its name
    :param changes: changes to the manifest
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    url = f"file://{folder}"
    manifest: Any = {
        "version": 1,
        "service": service,
        "id": job_id,
        "about": {},
        "path": f"{url}/manifest.json",
        "uri": f"{url}/manifest.json",
        "complete": not failed,
        "files": [
            {
                "key": f"key_{number}",
                "path": f"{url}/{name}",
                "uri": f"{url}/{name}",
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "mime_type": media_type_of(data[:4096], None) or "image/jpeg",
                "check": "ok",
                "item": "The whole car",
                "gps": {"latitude": 46.081624, "longitude": 11.135777},
                "taken_at": "2026-11-30T15:49:09Z",
                "submitted_at": "2026-11-30T15:50:00Z",
                **(entries or {}).get(name, {}),
            }
            for number, (name, data) in enumerate(files.items())
        ],
        "failed": failed or [],
    }
    output = summary(manifest)
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))
    return output


def jpeg(width: int, height: int) -> bytes:
    """Return a JPEG of one colour, which may be larger than Pillow opens."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (width, height), 90).save(out, "JPEG", quality=30)
    return out.getvalue()
