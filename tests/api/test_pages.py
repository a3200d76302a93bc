"""Which page of a list to ask for next, whatever its pagination turns out to be."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visio.api.call import call
from airflow_provider_visio.api.pages import MAX_IDLE, MAX_PAGES, Pages

FIRST = call("GET", "/photo-requests", params={"status": "pending", "per_page": 2})


def walk(service, most=50) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return what a list gives and the query parameters of each call."""
    pages, items, asked = Pages(FIRST), [], []
    while pages.next is not None and len(asked) < most:
        request = pages.next
        asked.append({name: value for name, value in request.params.items() if name not in FIRST.params})
        assert request.path == "/photo-requests"
        assert {"status": "pending", "per_page": "2"}.items() <= {
            n: str(v) for n, v in request.params.items()
        }.items()
        envelope = service(asked[-1])
        items += pages.take({"meta": {}, "links": {}, **envelope})
    return items, asked


def item(number):
    return {"id": f"req_{number}"}


THREE = [[item(1), item(2)], [item(3), item(4)], [item(5)]]
ALL = [item(n) for n in (1, 2, 3, 4, 5)]


def page_of(query):
    return int(query.get("page", 1))


def laravel(query):
    page = page_of(query)
    link = f"https://api.visio.now/v1/photo-requests?per_page=2&status=pending&page={page + 1}"
    return {
        "data": THREE[page - 1],
        "links": {"next": link if page < 3 else None},
        "meta": {"current_page": page, "last_page": 3, "total": 5},
    }


def simple(query):
    return {
        "data": THREE[page_of(query) - 1],
        "links": {"next": f"?page={page_of(query) + 1}" if page_of(query) < 3 else None},
    }


def cursor(query):
    page = int(query.get("cursor", "at1")[2:])
    return {"data": THREE[page - 1], "meta": {"next_cursor": f"at{page + 1}" if page < 3 else None}}


def linked_cursor(query):
    page = int(query.get("cursor", "at1")[2:])
    return {
        "data": THREE[page - 1],
        "links": {"next": f"/v1/photo-requests?cursor=at{page + 1}" if page < 3 else None},
    }


def numbered(query):
    return {"data": THREE[page_of(query) - 1], "meta": {"current_page": page_of(query), "last_page": 3}}


def counted(query):
    return {"data": THREE[page_of(query) - 1], "meta": {"total": 5}}


@pytest.mark.parametrize(
    "service", [laravel, simple, cursor, linked_cursor, numbered, counted], ids=lambda s: s.__name__
)
def test_every_item_comes_once_in_as_many_calls_as_pages(service):
    items, asked = walk(service)
    assert items == ALL
    assert len(asked) == 3
    assert asked[0] == {}


def test_without_any_signal_page_numbers_are_tried_until_one_is_empty():
    items, asked = walk(lambda query: {"data": [*THREE, []][page_of(query) - 1]})
    assert items == ALL
    assert asked == [{}, {"page": 2}, {"page": 3}, {"page": 4}]


def test_a_service_that_ignores_the_page_is_asked_twice():
    items, asked = walk(lambda query: {"data": ALL})
    assert items == ALL
    assert asked == [{}, {"page": 2}]


def test_a_total_that_is_there_saves_the_second_call():
    items, asked = walk(lambda query: {"data": ALL, "meta": {"total": 5}})
    assert (items, asked) == (ALL, [{}])


def test_an_empty_list_takes_one_call():
    assert walk(lambda query: {"data": []}) == ([], [{}])


def test_a_total_that_is_never_reached_does_not_go_on_for_ever():
    items, asked = walk(lambda query: {"data": ALL, "meta": {"total": 1_000_000}})
    assert items == ALL
    assert len(asked) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"links": {"next": "https://api.visio.now/v1/photo-requests?page=2"}},
        {"meta": {"next_cursor": "the same"}},
        {"meta": {"current_page": 1, "last_page": 9}},
    ],
)
def test_a_page_that_comes_again_and_again_ends_the_list(more):
    items, asked = walk(lambda query: {"data": ALL, **more})
    assert items == ALL
    assert len(asked) == 2


def test_items_that_moved_to_the_next_page_come_once():
    # A new request on top shifts every page by one.
    shifted = [[item(1), item(2)], [item(2), item(3)], [item(3), item(4)], []]
    items, _ = walk(lambda query: {"data": shifted[page_of(query) - 1]})
    assert items == [item(1), item(2), item(3), item(4)]


def test_items_without_an_id_are_told_apart_by_what_they_are():
    pages = [[{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "c"}], []]
    items, _ = walk(lambda query: {"data": pages[page_of(query) - 1]})
    assert items == [{"name": "a"}, {"name": "b"}, {"name": "c"}]


def test_what_is_no_object_is_left_out():
    items, asked = walk(lambda query: {"data": [None, "x", 5, ["y"], item(1)], "meta": {"total": 5}})
    assert items == [item(1)]
    assert len(asked) <= 2


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.test/steal?page=2",
        "//evil.test/steal?page=2",
        "/v1/webhooks?page=2",
        "https://user:pass@evil.test/?page=2",
        "?page=2",
        "page=2&x=https://evil.test?page=2",
    ],
)
def test_only_the_query_of_a_next_link_is_used(link):
    pages = Pages(FIRST)
    pages.take({"data": [item(1)], "meta": {}, "links": {"next": link}})
    assert pages.next is not None
    assert pages.next.path == "/photo-requests"
    assert pages.next.params["page"] == "2"
    assert pages.next.url("https://api.visio.now/v1").startswith("https://api.visio.now/v1/photo-requests?")


@pytest.mark.parametrize("link", [None, "", "https://api.visio.now/v1/photo-requests", 5, [], {}, False])
def test_a_next_link_that_leads_nowhere_ends_the_list(link):
    pages = Pages(FIRST)
    pages.take({"data": [item(1)], "meta": {}, "links": {"next": link}})
    assert pages.next is None


@pytest.mark.parametrize(
    "meta",
    [
        {"current_page": "1", "last_page": "x"},
        {"current_page": None, "last_page": None},
        {"total": "many"},
        {"total": None},
    ],
)
def test_signals_that_mean_nothing_are_not_believed(meta):
    items, _ = walk(lambda query: {"data": [*THREE, []][page_of(query) - 1], "meta": meta})
    assert items == ALL


def test_a_guess_is_known_to_be_one():
    pages = Pages(FIRST)
    assert not pages.guessing
    pages.take({"data": [item(1)], "meta": {}, "links": {}})
    assert pages.guessing
    pages.take({"data": [item(2)], "meta": {}, "links": {"next": "?page=3"}})
    assert not pages.guessing


def test_a_list_without_end_ends():
    numbers = iter(range(10**9))
    _, asked = walk(lambda query: {"data": [item(next(numbers))]}, most=MAX_PAGES * 2)
    assert len(asked) == MAX_PAGES


@pytest.mark.parametrize(
    "more",
    [
        {"links": {"next": "http://["}},
        {"links": {"next": "https://api.visio.now/v1/photo-requests/page/2"}},
        {"links": {"next": {"page": 2}}},
        {"meta": {"next_cursor": ["x"]}},
        {"meta": {"next_cursor": 1.5}},
    ],
    ids=str,
)
def test_a_list_that_cannot_be_gone_on_with_does_not_end_as_if_it_were_whole(more):
    pages = Pages(FIRST)
    assert pages.take({"data": [item(1)], "meta": {}, "links": {}, **more}) == [item(1)]
    assert pages.next is None
    assert not pages.whole
    assert "cannot be followed" in pages.cut


def test_a_list_without_end_is_not_whole_where_it_is_left():
    pages = Pages(FIRST)
    while pages.next is not None:
        pages.take({"data": [item(pages.asked)], "meta": {}, "links": {}})
    assert not pages.whole
    assert f"after {MAX_PAGES} pages" in pages.cut


def test_what_comes_after_the_limit_does_not_matter():
    pages = Pages(FIRST, limit=1)
    pages.take({"data": [item(1)], "meta": {}, "links": {"next": "http://["}})
    assert (pages.next, pages.whole, pages.cut) == (None, True, "")


def test_a_parameter_of_a_link_may_have_any_name():
    pages = Pages(FIRST)
    pages.take({"data": [item(1)], "meta": {}, "links": {"next": "?self=1"}})
    assert pages.next is not None
    assert pages.next.params["self"] == "1"


def answers_in_turn(*envelopes):
    replies = iter(envelopes)
    return lambda query: next(replies)


ON = {
    "link": ({"links": {"next": "?page=2"}}, {"links": {"next": "?page=3"}}, {"links": {"next": None}}),
    "cursor": (
        {"meta": {"next_cursor": "b"}},
        {"meta": {"next_cursor": "c"}},
        {"meta": {"next_cursor": None}},
    ),
    "number": tuple({"meta": {"current_page": n, "last_page": 3}} for n in (1, 2, 3)),
}


@pytest.mark.parametrize("more", ON.values(), ids=ON)
@pytest.mark.parametrize(
    "data",
    [([], [], [item(1)]), ([], [item(1)], []), ([item(1)], [], [item(2)]), ([item(1)], [item(1)], [item(2)])],
    ids=str,
)
def test_a_page_with_nothing_new_does_not_end_a_list_that_says_it_goes_on(more, data):
    items, asked = walk(answers_in_turn(*({"data": d, **m} for d, m in zip(data, more, strict=True))))
    assert items == [item(n) for n in (1, 2) if any(item(n) in page for page in data)]
    assert len(asked) == 3


def test_an_empty_page_that_leads_to_itself_is_the_end_of_the_list():
    """So a service says: ask here again for what will come."""
    pages = Pages(FIRST)
    pages.take({"data": [item(1)], "meta": {"next_cursor": "b"}, "links": {}})
    pages.take({"data": [], "meta": {"next_cursor": "b"}, "links": {}})
    assert (pages.next, pages.whole, pages.cut) == (None, True, "")


@pytest.mark.parametrize("found", [[], [item(1)], [{"day": 1}]], ids=str)
def test_a_list_that_goes_on_and_on_with_nothing_new_is_left_soon_and_is_not_whole(found):
    pages = Pages(FIRST)
    while pages.next is not None:
        pages.take({"data": found, "meta": {"next_cursor": f"at{pages.asked}"}, "links": {}})
    assert pages.asked in {MAX_IDLE + 1, MAX_IDLE + 2}
    assert not pages.whole
    assert "nothing new" in pages.cut


@pytest.mark.parametrize(
    "more", [{"links": {"next": "?page=2"}}, {"meta": {"current_page": 1, "last_page": 9}}], ids=str
)
def test_a_service_that_ignores_its_own_next_page_has_more_than_it_shows(more):
    pages = Pages(FIRST)
    while pages.next is not None:
        pages.take({"data": ALL, "meta": {}, "links": {}, **more})
    assert pages.asked == 2
    assert not pages.whole
    assert "once more" in pages.cut


def test_two_items_that_look_alike_and_have_no_id_are_two():
    day = {"day": 1, "n": 5}
    assert walk(lambda query: {"data": [day, day], "meta": {"total": 2}}) == ([day, day], [{}])
    first, last = {"next_cursor": "b"}, {"next_cursor": None}
    items, _ = walk(answers_in_turn({"data": [day], "meta": first}, {"data": [day], "meta": last}))
    assert items == [day, day]


def test_a_guessed_page_that_looks_like_the_one_before_is_that_one():
    day = {"day": 1, "n": 5}
    items, asked = walk(lambda query: {"data": [day, day]})
    assert (items, asked) == ([day, day], [{}, {"page": 2}])


def test_a_parameter_of_a_link_may_come_several_times():
    pages = Pages(FIRST)
    pages.take({"data": [item(1)], "meta": {}, "links": {"next": "?tag=a&page=2&tag=b"}})
    assert pages.next is not None
    assert pages.next.url("").endswith("?status=pending&per_page=2&tag=a&tag=b&page=2")


@pytest.mark.parametrize("data", [["a", "b"], [item(1), None], {"a": 1}, "x"], ids=str)
def test_a_list_with_something_else_than_objects_is_not_whole(data):
    pages = Pages(FIRST)
    pages.take({"data": data, "meta": {}, "links": {"next": None}})
    assert not pages.whole


def test_a_list_that_was_not_whole_stays_so_when_a_guess_is_refused():
    pages = Pages(FIRST)
    pages.take({"data": [item(1), None], "meta": {}, "links": {}})
    assert pages.guessing
    pages.stop()
    assert not pages.whole
