import base64

import pytest


@pytest.fixture
def seven(sandbox):
    """Seven requests, a minute apart, oldest first."""
    made = []
    for n in range(7):
        made.append(sandbox.ask(instructions=f"Request {n}"))
        sandbox.advance(60)
    return made


def listed(sandbox, query=""):
    return sandbox.visiono("GET", f"/photo-requests{query}").json()


def names(reply):
    return [one["instructions"][-1] for one in reply["data"]]


def test_pages_with_totals(sandbox, seven):
    first = listed(sandbox, "?per_page=3")
    assert names(first) == ["6", "5", "4"]
    meta = {
        name: first["meta"][name] for name in ("current_page", "last_page", "per_page", "total", "from", "to")
    }
    assert meta == {"current_page": 1, "last_page": 3, "per_page": 3, "total": 7, "from": 1, "to": 3}
    assert first["links"]["prev"] is None
    second = sandbox.session.get(first["links"]["next"], headers={"X-API-Key": "vsk_live_test"}).json()
    assert names(second) == ["3", "2", "1"]
    last = listed(sandbox, "?per_page=3&page=3")
    assert (names(last), last["links"]["next"]) == (["0"], None)
    beyond = listed(sandbox, "?per_page=3&page=9")
    assert (beyond["data"], beyond["meta"]["from"]) == ([], None)


def test_pages_without_totals(sandbox, seven):
    sandbox.settings(list_total=False, page_size=5)
    first = listed(sandbox)
    assert names(first) == ["6", "5", "4", "3", "2"]
    assert not {"total", "last_page"} & set(first["meta"])
    assert first["links"]["next"]
    assert listed(sandbox, "?page=2")["links"]["next"] is None


def test_cursors(sandbox, seven):
    sandbox.settings(pagination="cursor", list_order="oldest")
    seen, query = [], "?per_page=3"
    while query:
        reply = listed(sandbox, query)
        seen += names(reply)
        cursor = reply["meta"]["next_cursor"]
        assert bool(cursor) == bool(reply["links"]["next"])
        query = cursor and f"?per_page=3&cursor={cursor}"
    assert seen == list("0123456")
    assert names(listed(sandbox, "?cursor=nonsense")) == list("0123456")


def test_no_pages(sandbox, seven):
    sandbox.settings(pagination="none")
    reply = listed(sandbox, "?per_page=2&page=2")
    assert (names(reply), set(reply)) == (list("6543210"), {"data", "meta"})


@pytest.mark.parametrize("name", ["page", "per_page", "cursor"])
@pytest.mark.parametrize("pagination", ["page", "cursor"])
def test_a_number_too_long_for_any_page_is_no_number(sandbox, seven, name, pagination):
    sandbox.settings(pagination=pagination)
    digits = "9" * 5000
    if name == "cursor":
        digits = base64.urlsafe_b64encode(f"at={digits}".encode()).decode()
    assert listed(sandbox, f"?{name}={digits}")["data"] == listed(sandbox)["data"]


@pytest.mark.parametrize("query", ["?per_page=0", "?per_page=x", "?page=0", "?page=-1", "?page=" + "9" * 30])
def test_nonsense_page_numbers_do_no_harm(sandbox, seven, query):
    assert sandbox.visiono("GET", f"/photo-requests{query}").status_code == 200


def test_pages_are_capped_at_a_hundred(sandbox, seven):
    assert listed(sandbox, "?per_page=5000")["meta"]["per_page"] == 100


def test_filters(sandbox, seven):
    sandbox.act(seven[2], "submit")
    sandbox.act(seven[4], "cancel")
    assert names(listed(sandbox, "?status=submitted")) == ["2"]
    assert listed(sandbox, "?status=submitted")["meta"]["total"] == 1
    assert names(listed(sandbox, "?status=cancelled")) == ["4"]
    after, before = seven[3]["created_at"], seven[5]["created_at"]
    assert names(listed(sandbox, f"?created_after={after}&created_before={before}")) == ["5", "4", "3"]
    assert names(listed(sandbox, f"?created_after={after.replace('Z', '+00:00')}")) == ["6", "5", "4", "3"]
    for query in ("status=nonsense", "created_after=yesterday"):
        assert sandbox.visiono("GET", f"/photo-requests?{query}").status_code == 422


def test_filters_can_be_ignored(sandbox, seven):
    sandbox.settings(list_filters=False)
    assert len(listed(sandbox, "?status=submitted")["data"]) == 7


def test_next_link_keeps_the_query(sandbox, seven):
    assert "status=pending" in listed(sandbox, "?status=pending&per_page=2")["links"]["next"]
