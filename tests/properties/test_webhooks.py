"""A forged webhook is never accepted, and a valid one always is."""

from __future__ import annotations

import json

import pytest
from hypothesis import strategies as st
from webhooks.deliveries import SCHEMES, SECRET
from webhooks.forgeries import NOW, forgeries, moved, untouched

from airflow_provider_visio.webhooks.delivery import Delivery, read_delivery
from airflow_provider_visio.webhooks.inbox import MOST_IDS, Inbox
from airflow_provider_visio.webhooks.signature import verify
from properties.cases import cases
from properties.values import json_value


@cases(1000, one=untouched, pin=st.booleans())
def test_a_valid_webhook_is_accepted(one, pin):
    pinned = one.scheme if pin else None
    assert verify(one.headers, one.body, SECRET, now=NOW, pinned=pinned) == one.scheme


@cases(2600, forged=forgeries, pinned=st.none() | st.sampled_from(SCHEMES))
def test_a_forged_or_replayed_webhook_is_refused(forged, pinned):
    """Eight deliveries a case: forged, replayed, stale, truncated, encoded again, or with other headers."""
    for one in forged:
        assert verify(one.headers, one.body, SECRET, now=NOW, pinned=pinned) is None, one.harmed


@cases(1500, delivery=moved())
def test_a_signature_that_was_moved_proves_what_it_signs_and_no_more(delivery):
    one, pinned = delivery
    scheme = verify(one.headers, one.body, SECRET, now=NOW, pinned=pinned)
    stamp = one.first("timestamp")
    if scheme is None:
        return
    assert pinned in {None, scheme}
    assert stamp is None or abs(float(stamp) - NOW) <= 300
    # The signature over a timestamp proves that timestamp, and one over the body alone is of the same body.
    assert (scheme == "webhook-timestamp") == (one.scheme == "webhook-timestamp")
    assert scheme == "visiono" or stamp is not None


@cases(500, one=untouched, secret=st.none() | st.text(max_size=20))
def test_no_other_secret_accepts_it(one, secret):
    if secret != SECRET:
        assert verify(one.headers, one.body, secret, now=NOW) is None


@cases(
    1000, payload=json_value, event=st.sampled_from(["photo_request.submitted", "photo_submission.created"])
)
def test_any_payload_names_ids_that_can_be_stored_or_none(payload, event):
    for body in (payload, {"event": event, "data": payload}, {"event": payload, "data": {"id": payload}}):
        try:
            found = read_delivery(json.dumps(body).encode())
        except ValueError:
            continue
        assert isinstance(found, Delivery)
        assert all(one.partition(":")[2] and one.isascii() and one.isprintable() for one in found.ids)
        assert len(found.ids) <= 8


writes = st.lists(st.lists(st.sampled_from("abc"), max_size=3), max_size=60)


@cases(800, earlier=writes, later=writes.filter(bool))
def test_whatever_was_named_between_two_looks_is_learned_or_said_to_be_missing(earlier, later):
    before = Inbox("start", 1.0)
    for ids in earlier:
        before = before.after(ids, 1.0)
    after, named = before, []
    for ids in later:
        after = after.after(ids, 2.0)
        named += ids
    found, more = after.since(before)
    # A few ids in a full inbox may repeat as if nothing had come; then the look is at what is there.
    if len(after.ids) < MOST_IDS:
        assert more or found == set(named)
    assert more or found or not named


@pytest.mark.parametrize("text", ["nan", "1e400", "١٢٣"])
def test_floats_that_python_reads(text):
    """They are in no list of cases by chance."""
    headers = [("X-Visiono-Signature", "sha256=0"), ("X-Webhook-Timestamp", text)]
    assert verify(headers, b"", SECRET, now=NOW) is None
