"""What services, files and people may come up with: anything, and often what is likely to hurt."""

from __future__ import annotations

import json

from hypothesis import strategies as st

# A marker: in whatever text it turns up, it has leaked.
KEY = "vsk_live_marker_1f9c"

TEXTS = [
    "", " ", "0", "-1", "1", "nan", "inf", "1e400", "9" * 5000, "²", "None", "null", "true", "self", "..", "../..", "/",
    "\x00", "\r\n", "\ud800", "\U0001f600", "e\u0301", "\u202e", "\u017f", "İ", "\uff0e\uff0e\uff0f", "CON", "con.txt",
    "http://[", "https://h:x/", "https://h/x?sig=abc", "?self=1", "?page=2", "?page=\udc00", "//", "a@b.example",
    "pending", "submitted", "Submitted ", "IN-PROGRESS", "expired", "cancelled", "deleted", "refused", "completed",
    "2026-01-01T00:00:00Z", "2026-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "24:00",
    f"the key is {KEY}.", "{x}", "%s", "<html><title>Bad gateway</title>", "x" * 3000,
]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 2**31, 2**63, 10**400, -(10**400), 0.0, -0.5, 1e308, 5e-324, 1767225600, 1767225600.5]

# Few draws a case: most of the time goes into making cases up.
_plain = st.text(max_size=8)
text = st.sampled_from(TEXTS) | _plain
number = st.sampled_from(NUMBERS)
leaf = st.sampled_from([None, True, False, *NUMBERS, *TEXTS]) | _plain
json_value = (
    leaf | st.sampled_from([[], {}, [[]], [{}], [None], {"": []}]) | st.lists(leaf, min_size=1, max_size=2)
)


def json_object(names: list[str], values: st.SearchStrategy[object] = json_value) -> st.SearchStrategy[dict]:
    """An object that has some of the names that matter, and perhaps others."""
    return st.dictionaries(st.sampled_from([*names, *TEXTS[:3]]), values, max_size=5)


STATE_NAMES = [
    "id",
    "status",
    "created_at",
    "expires_at",
    "request_url",
    "error",
    "metadata",
    "photos",
    "items",
]
state = st.fixed_dictionaries(
    {}, optional={"status": leaf, "expires_at": leaf, "created_at": leaf, "error": json_value}
)
item = json_object(STATE_NAMES, leaf) | st.builds(
    lambda number, more: {**more, "id": f"req_{number}"}, st.integers(0, 12), json_object(STATE_NAMES, leaf)
)
page = st.lists(item | json_value, max_size=8) | json_value
LINKS = [
    "?page=2",
    "?page=3",
    "?cursor=x",
    "?cursor=%ff",
    "?self=1",
    "?page=\ud800",
    "http://[",
    "//",
    "https://h:x/?a=1",
    "/",
]
small = st.sampled_from([0, 1, 2, 3, 5, 100, 101, 10**400, -1, True, "2", None])
meta = st.fixed_dictionaries(
    {},
    optional={
        "next_cursor": leaf,
        "current_page": small,
        "last_page": small,
        "total": small,
        "request_id": json_value,
    },
)
links = st.fixed_dictionaries({}, optional={"next": st.sampled_from(LINKS) | json_value, "prev": leaf})
envelope = st.fixed_dictionaries({"data": page, "meta": meta, "links": links})

error_body = st.fixed_dictionaries(
    {},
    optional={
        "data": page,
        "meta": meta | json_value,
        "links": links | json_value,
        "message": json_value,
        "error": json_object(["message", "code", "details"]) | json_value,
        "errors": json_object(["recipient_email", "send_email"]) | json_value,
    },
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


_written = (error_body | envelope | json_value).map(lambda value: json.dumps(value).encode())
body = (
    st.binary(max_size=80)
    | _written
    | st.builds(lambda whole, at: whole[: at % (len(whole) + 1)], _written, st.integers(0, 10**6))
    | text.map(lambda words: f"<!doctype html><title>{words}</title>".encode("utf-8", "replace"))
    | st.integers(0, 1100).map(nested)
    | st.sampled_from([b"9" * 5000, b'{"data": NaN}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'"\\ud800"'])
)

HEADERS = [
    "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id", "location",
    "content-type", "date", "set-cookie",
]  # fmt: skip
_date = st.builds(
    "{} {:02} {} {} {:02}:{:02}:{} {}".format,
    st.sampled_from(["Mon,", "Mon", "", "x,"]),
    st.integers(0, 40),
    st.sampled_from(["Jan", "Dec", "Foo", "1"]),
    st.sampled_from([1, 70, 1970, 2026, 2027, 9999, 10000, 99999999999]),
    st.integers(0, 30),
    st.integers(0, 70),
    st.sampled_from(["00", "59", "60", "x", "0.5"]),
    st.sampled_from(["GMT", "", "-0000", "+0100", "+9999", "-9999999999999999", "EST", "?"]),
)
header_value = text | _date | number.map(str)
headers = st.dictionaries(st.sampled_from([*HEADERS, "x-other"]), header_value, max_size=3)
status = st.sampled_from(
    [100, 199, 200, 201, 204, 206, 299, 300, 301, 304, 400, 401, 402, 403, 404, 408, 409, 410, 422, 425, 429, 500, 502,
     503, 599]
) | st.integers(100, 999)  # fmt: skip
