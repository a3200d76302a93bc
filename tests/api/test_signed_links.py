"""Signed links and what comes back from them, against vectors that `openssl dgst -sha256 -hmac` has made."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest

from airflow_provider_visio.exceptions import InvalidRequestError, SignatureError
from airflow_provider_visio.workflow import build_url, verify_return

SECRET = "5f2b" * 16
NOW = 1_705_500_000
LINK = "https://acme.visio.now/fleet-inspection"


def build(url=LINK, **changes):
    given = {
        "unique_value": "W-12345",
        "source": "claims",
        "reference": "run 1",
        "secret": SECRET,
        "now": NOW,
    }
    return build_url(url, **{**given, **changes})


# printf '%s' '<uv>|<src>|<ref>|<ts>' | openssl dgst -sha256 -hmac <secret>
OUTBOUND = [
    (("W-12345", "claims", "run 1"), "168a119461422446c29a723ecc8ec0f992d7f7e610f9d76cf8db0e04abea2213"),
    (("Größe & 日本", "a=b", "100%?#/+"), "a568c84446a397c140db0d2ac5efab9ae43e20fda3bfe6c117ca2de44107a643"),
    ((7, "a", "b"), "ec4286e319fc7f04a126774a912a857c2a15c57b34167d99cc4602bc4887623a"),
]


@pytest.mark.parametrize(("values", "signature"), OUTBOUND)
def test_a_link_is_signed_over_its_values_as_they_are(values, signature):
    url = build(unique_value=values[0], source=values[1], reference=values[2])
    query = dict(parse_qsl(urlsplit(url).query, strict_parsing=True))
    uv, src, ref = map(str, values)
    assert query == {"uv": uv, "src": src, "ref": ref, "ts": str(NOW), "sig": signature}
    assert url.startswith(f"{LINK}?uv=")
    assert url.isascii()
    assert " " not in url
    assert "+" not in url


@pytest.mark.parametrize(
    ("link", "begins", "ends"),
    [
        (f"{LINK}?lang=de&x=a%20b", f"{LINK}?lang=de&x=a%20b&uv=", ""),
        (f"{LINK}?", f"{LINK}?uv=", ""),
        (f"{LINK}#form", f"{LINK}?uv=", "#form"),
        ("http://127.0.0.1:8400/p/abc", "http://127.0.0.1:8400/p/abc?uv=", ""),
    ],
)
def test_the_link_s_own_address_is_kept(link, begins, ends):
    url = build(link)
    assert url.startswith(begins)
    assert url.endswith(ends)
    assert url.count("sig=") == 1


@pytest.mark.parametrize(
    ("valid_for", "ts"),
    [(None, NOW), (3600, NOW), (600, NOW - 3000), (timedelta(minutes=1), NOW - 3540), (0.5, NOW - 3600)],
)
def test_a_shorter_life_sets_the_link_s_time_back(valid_for, ts):
    query = dict(parse_qsl(urlsplit(build(valid_for=valid_for)).query))
    assert query["ts"] == str(ts)
    signed = f"W-12345|claims|run 1|{ts}".encode()
    assert query["sig"] == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


BAD_VALUES = [
    ("a|b", "separates"),
    ("", "empty"),
    ("  ", "empty"),
    (" a", "blank"),
    ("a\n", "blank"),
    ("a\nb", "control character"),
    ("a\x00b", "control character"),
    ("a\u2028b", "line break"),
    ("a\ud800", "unpaired surrogate"),
    (None, "not NoneType"),
    (True, "not bool"),
    (1.5, "not float"),
]


@pytest.mark.parametrize("name", ["unique_value", "source", "reference"])
@pytest.mark.parametrize(("value", "why"), BAD_VALUES)
def test_a_value_that_would_not_come_through_is_refused(name, value, why):
    with pytest.raises(InvalidRequestError, match=why) as caught:
        build(**{name: value})
    assert list(caught.value.fields) == [name]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "acme.visio.now/x"}, "link_url"),
        ({"url": "ftp://acme.visio.now/x"}, "link_url"),
        ({"url": "https://user:pw@acme.visio.now/x"}, "link_url"),
        ({"url": "https://acme.visio.now/a b"}, "link_url"),
        ({"url": None}, "link_url"),
        ({"url": f"{LINK}?sig="}, "link_url"),
        ({"url": f"{LINK}?uv=W-1"}, "link_url"),
        ({"secret": ""}, "secret"),
        ({"valid_for": 3601}, "valid_for"),
        ({"valid_for": 0}, "valid_for"),
        ({"valid_for": timedelta(-1)}, "valid_for"),
        ({"valid_for": float("nan")}, "valid_for"),
        ({"valid_for": True}, "valid_for"),
    ],
)
def test_what_cannot_be_signed_is_refused(changes, field):
    with pytest.raises(InvalidRequestError) as caught:
        build(**changes)
    assert list(caught.value.fields) == [field]
    assert SECRET not in str(caught.value)


# printf '%s' '<sub>|<uv>|<ref>|<cnt>|<ts>' | openssl dgst -sha256 -hmac <secret>
BACK = {
    "sub": "pls_123",
    "uv": "W-12345",
    "ref": "run 1",
    "cnt": "3",
    "ts": str(NOW),
    "sig": "794545121e1fdc82be1f68e9d4d8d9491bcce86f88c2891d719f8f6738542c3b",
}
BELIEVED = {
    "submission_id": "pls_123",
    "unique_value": "W-12345",
    "reference": "run 1",
    "photo_count": 3,
    "signed_at": "2024-01-17T14:00:00+00:00",
}


def verify(returned, now=NOW, **more):
    return verify_return(returned, secret=SECRET, now=now, **more)


@pytest.mark.parametrize(
    "returned",
    [
        "https://me.example/back?sub=pls_123&uv=W-12345&ref=run+1&cnt=3&ts=1705500000&sig=BACK1",
        "https://me.example/back?x=1&sub=pls_123&uv=W-12345&ref=run%201&cnt=3&ts=1705500000&sig=BACK1#top",
        "sub=pls_123&uv=W-12345&ref=run+1&cnt=3&ts=1705500000&sig=BACK1",
        "?sub=pls_123&uv=W-12345&ref=run+1&cnt=3&ts=1705500000&sig=BACK1",
        BACK,
        {name: [value] for name, value in BACK.items()},
        {**BACK, "cnt": 3, "ts": NOW, "src": "a|b"},
    ],
)
def test_what_comes_back_is_believed(returned):
    assert (
        verify(returned.replace("BACK1", BACK["sig"]) if isinstance(returned, str) else returned) == BELIEVED
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", "pls_124"),
        ("uv", "W-12346"),
        ("ref", "run 2"),
        ("cnt", "4"),
        ("cnt", "03"),
        ("ts", str(NOW + 1)),
        ("sig", "0" * 64),
        ("sig", "x"),
        ("sig", "größe"),
    ],
)
def test_whatever_is_changed_is_not_believed(name, value):
    with pytest.raises(SignatureError, match="does not fit") as caught:
        verify({**BACK, name: value})
    assert SECRET not in str(caught.value)
    assert BACK["sig"] not in str(caught.value)


def test_another_secret_is_not_believed():
    with pytest.raises(SignatureError, match="does not fit"):
        verify_return(BACK, secret="other", now=NOW)


@pytest.mark.parametrize(
    ("later", "valid_for", "good"),
    [
        (3600, 3600, True),
        (3601, 3600, False),
        (-60, 3600, True),
        (-61, 3600, False),
        (59, timedelta(minutes=1), True),
        (61, timedelta(minutes=1), False),
        (86_400, timedelta(days=2), True),
    ],
)
def test_a_signature_is_believed_for_a_while(later, valid_for, good):
    if good:
        assert verify(BACK, NOW + later, valid_for=valid_for) == BELIEVED
    else:
        with pytest.raises(SignatureError, match=r"old; the limit|in the future"):
            verify(BACK, NOW + later, valid_for=valid_for)


def test_an_hour_is_what_it_is_believed_for_unless_told():
    with pytest.raises(SignatureError, match="61 min old; the limit is 60 min"):
        verify(BACK, NOW + 3660)


def test_the_age_of_a_forged_one_is_not_told():
    with pytest.raises(SignatureError, match="does not fit"):
        verify({**BACK, "sig": "0" * 64}, NOW + 9999)


@pytest.mark.parametrize("name", BACK)
def test_a_parameter_must_be_there_once(name):
    with pytest.raises(InvalidRequestError, match="it is missing") as caught:
        verify({other: value for other, value in BACK.items() if other != name})
    assert list(caught.value.fields) == [name]
    query = "&".join(f"{other}={value}" for other, value in BACK.items())
    with pytest.raises(InvalidRequestError, match="2 times"):
        verify(f"{query}&{name}={BACK[name]}")
    with pytest.raises(InvalidRequestError, match="it is empty"):
        verify({**BACK, name: ""})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("ref", "W-1|run", "separates"),
        ("sub", "a\nb", "control character"),
        ("cnt", "-1", "whole number"),
        ("cnt", "٣", "whole number"),
        ("cnt", "9" * 12, "whole number"),
        ("ts", "1705500000.0", "whole number"),
        ("ts", 1705500000.0, "not float"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(name, value, why):
    with pytest.raises(InvalidRequestError, match=why) as caught:
        verify({**BACK, name: value})
    assert list(caught.value.fields) == [name]


def test_a_part_moved_over_the_separator_is_refused():
    """The joined text, and so the signature, would be the same."""
    moved = {**BACK, "sub": "pls_123|W-12345", "uv": "run 1", "ref": "3"}
    with pytest.raises(InvalidRequestError, match="separates"):
        verify(moved)


@pytest.mark.parametrize(
    "ref", ["why?", "https://me.example/case", "https://me.example/case?number=1", "/a/b", "?"]
)
@pytest.mark.parametrize(
    "before", ["?", "/back?", "/to=me/back?", "me.example/back?", "https://me.example/back?"]
)
def test_a_value_need_not_be_escaped(before, ref):
    signed = {**BACK, "ref": ref}
    query = "&".join(f"{name}={value}" for name, value in signed.items() if name != "sig")
    joined = "|".join(signed[name] for name in ("sub", "uv", "ref", "cnt", "ts"))
    signature = hmac.new(SECRET.encode(), joined.encode(), "sha256").hexdigest()
    assert verify(f"{before}{query}&sig={signature}")["reference"] == ref


NAMES = {"unique_value": "uv", "reference": "ref"}
RUN_ID = "manual__2024-01-17T14:00:00.5+00:00"


def signed_back(**values):
    """What the service sends back, with a signature over the values as they are."""
    told = {**BACK, **values}
    joined = "|".join(told[name] for name in ("sub", "uv", "ref", "cnt", "ts"))
    return {**told, "sig": hmac.new(SECRET.encode(), joined.encode(), "sha256").hexdigest()}


@pytest.mark.parametrize(
    ("values", "escape"),
    [
        ({"ref": RUN_ID}, str),
        ({"uv": "+390471", "ref": RUN_ID}, str),
        ({"uv": "a+b c", "ref": RUN_ID}, quote_plus),
    ],
)
def test_a_plus_that_was_not_escaped_on_its_way_is_one(values, escape):
    query = "&".join(f"{name}={escape(value)}" for name, value in signed_back(**values).items())
    for returned in (query, f"https://me.example/a+b?{query}"):
        found = verify(returned)
        assert {name: found[meaning] for meaning, name in NAMES.items()} == {
            "uv": BACK["uv"], "ref": BACK["ref"], **values,
        }  # fmt: skip


def test_a_plus_that_a_web_framework_has_made_a_blank_is_one():
    told = signed_back(uv="+390471", ref=RUN_ID)
    read = {name: value.replace("+", " ") for name, value in told.items()}
    for returned in (read, {name: [value] for name, value in read.items()}, {**read, "cnt": 3, "ts": NOW}):
        assert (verify(returned)["unique_value"], verify(returned)["reference"]) == ("+390471", RUN_ID)


@pytest.mark.parametrize("ref", ["run+2", "run++1", "run1", "r+un 1"])
def test_a_plus_elsewhere_is_not_believed(ref):
    query = "&".join(f"{name}={value}" for name, value in {**BACK, "ref": ref}.items())
    with pytest.raises(SignatureError, match="does not fit"):
        verify(query)
    with pytest.raises(SignatureError, match="does not fit"):
        verify({**BACK, "ref": ref})


@pytest.mark.parametrize("returned", ["https://[me?sub=1", "https://[::1/back?sub=1"])
def test_what_is_no_address_is_refused(returned):
    with pytest.raises(InvalidRequestError, match="it is not a URL") as caught:
        verify(returned)
    assert list(caught.value.fields) == ["returned"]


@pytest.mark.parametrize("returned", [None, 5, b"sub=1", ["sub", "1"]])
def test_something_else_is_refused(returned):
    with pytest.raises(InvalidRequestError, match="give the URL"):
        verify(returned)


def test_the_template_s_own_names_are_read():
    names = {"submission_id": "id", "signature": "s"}
    returned = {**BACK, "id": BACK["sub"], "s": BACK["sig"]}
    del returned["sub"], returned["sig"]
    assert verify(returned, names=names) == BELIEVED
    with pytest.raises(InvalidRequestError, match="missing"):
        verify(BACK, names=names)


@pytest.mark.parametrize(
    ("names", "why"), [({"id": "sub"}, "id is unknown"), ({"submission_id": "uv"}, "the same name")]
)
def test_names_that_cannot_be_are_refused(names, why):
    with pytest.raises(InvalidRequestError, match=why):
        verify(BACK, names=names)
