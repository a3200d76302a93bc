"""Both of the vendor's signatures, and what is not authentic."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings

from airflow_provider_visio.webhooks.signature import SCHEMES, verify
from webhooks import deliveries
from webhooks.forgeries import forgeries, untouched

NOW = 1_800_000_000.0
SECRET = "whsec_abc"
BODY = b'{"event": "photo_request.submitted"}'


def signed(message: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


STAMP = str(int(NOW))
VALID = {
    "visiono": [("X-Visiono-Signature", signed(BODY))],
    "webhook-body": [("X-Webhook-Signature", signed(BODY)), ("X-Webhook-Timestamp", STAMP)],
    "webhook-timestamp": [
        ("X-Webhook-Signature", signed(STAMP.encode() + b"." + BODY)),
        ("X-Webhook-Timestamp", STAMP),
    ],
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("pinned", [True, False])
def test_each_scheme_is_accepted_and_named(scheme, pinned):
    assert verify(VALID[scheme], BODY, SECRET, now=NOW, pinned=scheme if pinned else None) == scheme


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("pinned", SCHEMES)
def test_a_pinned_scheme_is_the_only_one(scheme, pinned):
    found = verify(VALID[scheme], BODY, SECRET, now=NOW, pinned=pinned)
    assert found == (scheme if scheme == pinned else None)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("secret", ["whsec_other", "", None, SECRET.upper()])
def test_another_secret(scheme, secret):
    assert verify(VALID[scheme], BODY, secret, now=NOW) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_body(scheme):
    assert verify(VALID[scheme], BODY + b" ", SECRET, now=NOW) is None


@pytest.mark.parametrize("secret", ["", None])
def test_nobody_signs_for_a_connection_without_a_secret(secret):
    assert verify([("X-Visiono-Signature", signed(BODY, ""))], BODY, secret, now=NOW) is None
    assert verify([("X-Visiono-Signature", signed(BODY, "None"))], BODY, secret, now=NOW) is None


@pytest.mark.parametrize(
    "stamp",
    [
        str(int(NOW) - 301),
        str(int(NOW) + 301),
        "nan",
        "inf",
        "-inf",
        "",
        "yesterday",
        "2027-01-15T08:00:00Z",
        "0",
        str(int(NOW) * 1000),
        "1e999",
    ],
)
@pytest.mark.parametrize("scheme", ["visiono", "webhook-body", "webhook-timestamp"])
def test_a_timestamp_that_is_not_of_now(stamp, scheme):
    """It is signed as well as it can be."""
    message = stamp.encode() + b"." + BODY if scheme == "webhook-timestamp" else BODY
    name = "X-Visiono-Signature" if scheme == "visiono" else "X-Webhook-Signature"
    assert verify([(name, signed(message)), ("X-Webhook-Timestamp", stamp)], BODY, SECRET, now=NOW) is None


@pytest.mark.parametrize("age", [-300, -1, 0, 299, 300])
def test_a_timestamp_of_the_last_minutes(age):
    stamp = str(int(NOW) - age)
    headers = [("X-Webhook-Signature", signed(BODY)), ("X-Webhook-Timestamp", stamp)]
    assert verify(headers, BODY, SECRET, now=NOW) == "webhook-body"


def test_the_scheme_with_a_timestamp_needs_one():
    assert verify([("X-Webhook-Signature", signed(BODY))], BODY, SECRET, now=NOW) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_header_that_is_there_twice_is_refused(scheme):
    for name, _ in VALID[scheme]:
        assert verify([*VALID[scheme], (name.upper(), "sha256=0")], BODY, SECRET, now=NOW) is None
        assert verify([(name.upper(), "sha256=0"), *VALID[scheme]], BODY, SECRET, now=NOW) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.removeprefix("sha256="),
        lambda text: text.upper(),
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text.replace("sha256", "sha1"),
        lambda text: "",
        lambda text: "sha256=",
        lambda text: "sha256=é" + text[8:],
        lambda text: "\N{SNOWMAN}",
    ],
)
def test_a_signature_in_another_form(change):
    assert verify([("X-Visiono-Signature", change(signed(BODY)))], BODY, SECRET, now=NOW) is None


def test_no_headers():
    assert verify([], BODY, SECRET, now=NOW) is None


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(forged=forgeries, one=untouched)
def test_no_forgery_is_accepted_and_every_valid_delivery_is(forged, one):
    """A few; `make properties` runs ten thousand."""
    assert verify(one.headers, one.body, deliveries.SECRET, now=NOW) == one.scheme
    for other in forged:
        assert verify(other.headers, other.body, deliveries.SECRET, now=NOW) is None, other.harmed
