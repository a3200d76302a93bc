"""Deliveries made from valid ones: forged, replayed, stale, truncated, re-encoded, with other headers."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from webhooks.deliveries import SCHEMES, SECRET, Headers, body_of, sign

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Posted:
    """
    A delivery as it is posted.

    :param scheme: the scheme by which the service signed it.
    :param signed: the body that the service signed.
    :param harmed: what was done to it that makes it no longer the service's own.
    """

    scheme: str
    signed: bytes
    body: bytes
    headers: Headers
    harmed: str = ""

    def first(self, part: str) -> str | None:
        return next((value for name, value in self.headers if part in name.lower()), None)

    def with_value(self, part: str, change: Callable[[str], str]) -> Headers:
        return [(name, change(value) if part in name.lower() else value) for name, value in self.headers]


identifier = st.text("abcdef0123456789_", min_size=1, max_size=12)
events = st.sampled_from(
    ["photo_request.submitted", "photo_request.created", "photo_submission.created", "webhook.test"]
)


def _valid(event: str, one: str, note: str, scheme: str, age: int) -> Posted:
    body = body_of(event, id=one, note=note)
    return Posted(scheme, body, body, sign(body, scheme, NOW - age))


valid = st.builds(
    _valid, events, identifier, st.text(max_size=8), st.sampled_from(SCHEMES), st.integers(-299, 299)
)

# What leaves a delivery the service's own.
Change = Callable[[Posted, Any], Posted]
harmless = st.sampled_from(
    [
        lambda one: replace(one, headers=one.headers[::-1]),
        lambda one: replace(one, headers=[(name.upper(), value) for name, value in one.headers]),
        lambda one: replace(one, headers=[(name.lower(), value) for name, value in one.headers]),
        lambda one: replace(
            one, headers=[*one.headers, ("User-Agent", "sha256=0"), ("X-Forwarded-For", "10.0.0.1")]
        ),
        lambda one: replace(
            one,
            headers=[(n, v) for n, v in one.headers if "signature" in n.lower() or "timestamp" in n.lower()],
        ),
    ]
)


def _other_bodies(body: bytes, at: int) -> list[bytes]:
    where = at % len(body)
    payload = json.loads(body)
    return [
        body[:where],
        body[where + 1 :],
        body[:where] + bytes([body[where] ^ 1]) + body[where + 1 :],
        body + b"\n",
        b" " + body,
        b"\xef\xbb\xbf" + body,
        json.dumps(payload, indent=2).encode(),
        json.dumps(payload, separators=(",", ":")).encode(),
        json.dumps(payload, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"",
        json.dumps({**payload, "data": {"id": "req_other"}}).encode(),
        body.decode().encode("utf-16"),
        gzip.compress(body),
        base64.b64encode(body),
        body * 2,
        b"",
    ]


def _other_signatures(one: Posted, at: int) -> list[str]:
    text, stamp = one.first("signature") or "", one.first("timestamp") or str(int(NOW))
    where = len("sha256=") + at % 64
    flipped = "0" if text[where : where + 1] != "0" else "1"

    def mac(message: bytes, secret: str = SECRET, algorithm: Any = hashlib.sha256) -> str:
        return hmac.new(secret.encode(), message, algorithm).hexdigest()

    return [
        text[:where] + flipped + text[where + 1 :],
        text[:where],
        text + "0",
        text.upper(),
        text.removeprefix("sha256="),
        text.replace("sha256", "sha1"),
        "sha1=" + mac(one.signed, algorithm=hashlib.sha1),
        "sha256=" + mac(one.signed, algorithm=hashlib.sha512),
        "sha256=" + base64.b64encode(bytes.fromhex(mac(one.signed))).decode(),
        "sha256=" + hashlib.sha256(one.signed).hexdigest(),
        "sha256=" + hashlib.sha256(SECRET.encode() + one.signed).hexdigest(),
        "sha256=" + mac(one.signed, secret="whsec_other"),
        "sha256=" + mac(one.signed, secret=""),
        "sha256=" + mac(one.signed, secret=SECRET.removeprefix("whsec_")),
        "sha256=" + mac(stamp.encode()),
        "sha256=" + mac(stamp.encode() + one.signed),
        "sha256=" + mac(one.signed + b"." + stamp.encode()),
        "sha256=" + mac(b"." + one.signed),
        "sha256=" + "0" * 64,
        "sha256=",
        "",
    ]


STAMPS = [
    str(int(NOW) - 301),
    str(int(NOW) + 301),
    str(int(NOW) - 86_400),
    str(int(NOW) * 1000),
    "nan",
    "-nan",
    "NaN",
    "inf",
    "-Infinity",
    "",
    "0",
    "-1",
    "now",
    "2027-01-15T08:00:00Z",
    hex(int(NOW)),
    f"{int(NOW)};{int(NOW)}",
]


def _forge_body(one: Posted, at: int) -> Posted:
    bodies = [body for body in _other_bodies(one.signed, at // 7) if body != one.signed]
    return replace(one, body=bodies[at % len(bodies)])


def _forge_signature(one: Posted, at: int) -> Posted:
    others = [text for text in _other_signatures(one, at // 7) if text != one.first("signature")]
    return replace(one, headers=one.with_value("signature", lambda _: others[at % len(others)]))


def _forge_stamp(one: Posted, at: int) -> Posted:
    kept = [(name, value) for name, value in one.headers if "timestamp" not in name.lower()]
    return replace(one, headers=[*kept, ("X-Webhook-Timestamp", STAMPS[at % len(STAMPS)])])


def _no_signature(one: Posted, at: int) -> Posted:
    return replace(
        one, headers=[(name, value) for name, value in one.headers if "signature" not in name.lower()]
    )


def _another_name(one: Posted, at: int) -> Posted:
    names = [
        "X-Signature",
        "X-Hub-Signature-256",
        "X-Visiono-Signature-256",
        "Signature",
        "Authorization",
        "X_Visiono_Signature",
    ]
    return replace(
        one,
        headers=[(names[at % len(names)] if "signature" in n.lower() else n, v) for n, v in one.headers],
    )


def _twice(one: Posted, at: int) -> Posted:
    ours = [
        (name, value)
        for name, value in one.headers
        if "signature" in name.lower() or "timestamp" in name.lower()
    ]
    name, value = ours[at % len(ours)]
    return replace(
        one, headers=[*one.headers, (name.swapcase(), [value, "sha256=0", str(int(NOW)), ""][at // 5 % 4])]
    )


def _replayed(one: Posted, at: int) -> Posted:
    """An old delivery with its timestamp; one of the plugin's has none and cannot be known as old."""
    if one.scheme == "visiono":
        return _forge_stamp(one, at)
    return replace(one, headers=sign(one.signed, one.scheme, NOW - 301 - at))


def _without_stamp(one: Posted, at: int) -> Posted:
    if one.scheme == "visiono":
        return _no_signature(one, at)
    return replace(
        one, headers=[(name, value) for name, value in one.headers if "timestamp" not in name.lower()]
    )


HARM = {
    "body": _forge_body,
    "signature": _forge_signature,
    "timestamp": _forge_stamp,
    "no signature": _no_signature,
    "another header": _another_name,
    "a header twice": _twice,
    "replayed": _replayed,
    "no timestamp": _without_stamp,
}


# Each case has one forgery of each kind.
forgeries = st.builds(
    lambda one, at: [replace(forge(one, at), harmed=kind) for kind, forge in HARM.items()],
    valid,
    st.integers(0, 10_000),
)
untouched = st.builds(lambda one, change: change(one), valid, harmless)


@st.composite
def moved(draw: Any) -> tuple[Posted, str | None]:
    """Return a valid delivery whose signature was moved to other headers, and the pinned scheme if there is one."""
    one = draw(valid)
    signature = one.first("signature") or ""
    name = draw(st.sampled_from(["X-Visiono-Signature", "X-Webhook-Signature"]))
    stamp = draw(
        st.none() | st.sampled_from([one.first("timestamp") or str(int(NOW)), *STAMPS, str(int(NOW) + 7)])
    )
    headers = [(name, signature), *([("X-Webhook-Timestamp", stamp)] if stamp is not None else [])]
    return replace(one, headers=headers), draw(st.none() | st.sampled_from(SCHEMES))
