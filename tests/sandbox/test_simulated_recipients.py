ITEMS = [{"instructions": "Front"}, {"instructions": "Rear"}]


def test_person_who_submits(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "submit", "open_after": 10, "photo_every": 5})
    made = sandbox.ask(items=ITEMS)
    steps = []
    for _ in range(5):
        steps.append((sandbox.status(made), len(sandbox.kinds())))
        sandbox.advance(5)
    assert steps == [("pending", 1), ("pending", 1), ("pending", 2), ("in_progress", 3), ("submitted", 5)]
    story = sandbox.control("GET", "/events")
    assert [event["kind"] for event in story] == [
        "request_created",
        "link_opened",
        "photo_uploaded",
        "photo_uploaded",
        "request_submitted",
    ]
    assert [(event["photo"], event["of"]) for event in story[2:4]] == [(1, 2), (2, 2)]
    # Events carry the time at which they were due, however late one looks.
    assert [round(event["at"] - story[0]["at"]) for event in story] == [0, 10, 15, 20, 20]
    photos = sandbox.control("GET", f"/photo-requests/{made['id']}")["photos"]
    assert [photo["item_id"] for photo in photos] == [item["id"] for item in made["items"]]


def test_everything_due_happens_in_one_leap(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "submit"})
    made = sandbox.ask()
    sandbox.advance(100_000_000)
    assert sandbox.status(made) == "submitted"
    assert len(sandbox.control("GET", f"/photo-requests/{made['id']}")["photos"]) == 3


def test_person_who_sends_a_part(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "partial", "photos": 3})
    made = sandbox.ask(expires_in_hours=1)
    sandbox.advance(3599)
    assert sandbox.status(made) == "in_progress"
    assert len(sandbox.control("GET", f"/photo-requests/{made['id']}")["photos"]) == 2
    sandbox.advance(1)
    assert sandbox.status(made) == "expired"


def test_person_who_never_opens(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "never"})
    made = sandbox.ask()
    sandbox.advance(3600)
    assert (sandbox.status(made), sandbox.kinds()) == ("pending", ["request_created"])


def test_person_who_lets_it_expire(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "expire", "open_after": 30})
    made = sandbox.ask()
    sandbox.advance(30)
    assert sandbox.status(made) == "expired"


def test_another_person_takes_over(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "submit", "open_after": 10})
    made, other = sandbox.ask(), sandbox.ask()
    sandbox.control("PUT", f"/photo-requests/{made['id']}/person", {"behaviour": "never"})
    sandbox.advance(100)
    assert [sandbox.status(one) for one in (made, other)] == ["pending", "submitted"]
    sandbox.control("PUT", f"/photo-requests/{made['id']}/person", {"behaviour": "submit", "open_after": 1})
    sandbox.advance(7)
    assert sandbox.status(made) == "submitted"


def test_person_meets_a_request_that_is_gone(sandbox):
    sandbox.control("PUT", "/person", {"behaviour": "submit", "open_after": 10})
    made = sandbox.ask()
    sandbox.visiono("DELETE", f"/photo-requests/{made['id']}")
    sandbox.advance(100)
    assert sandbox.kinds() == ["request_created", "request_deleted"]


def test_person_without_gps(sandbox):
    sandbox.control(
        "PUT", "/person", {"behaviour": "submit", "open_after": 0, "photo_every": 0, "gps": False}
    )
    made, must = sandbox.ask(), sandbox.ask(require_gps=True)
    places = [
        sandbox.control("GET", f"/photo-requests/{one['id']}")["photos"][0]["gps"] for one in (made, must)
    ]
    assert places[0] is None
    assert places[1] is not None


def test_person_with_notes(sandbox):
    body = {"behaviour": "submit", "open_after": 0, "photo_every": 0, "notes": "At the back door"}
    sandbox.control("PUT", "/person", body)
    made, other = sandbox.ask(allow_submitter_notes=True), sandbox.ask()
    notes = [sandbox.control("GET", f"/photo-requests/{one['id']}")["notes"] for one in (made, other)]
    assert notes == ["At the back door", None]


def test_actions_by_hand(sandbox):
    made = sandbox.ask(items=ITEMS)
    assert sandbox.act(made, "open")["visits"] == 1
    sandbox.act(made, "upload", item=0)
    # A second photo of the same item takes the first one's place.
    assert len(sandbox.act(made, "upload", item=0)["photos"]) == 1
    assert sandbox.act(made, "submit")["status"] == "submitted"
    assert len(sandbox.photos(made)) == 2
    again = sandbox.call("control_url", "POST", f"/photo-requests/{made['id']}/submit")
    assert (again.status_code, again.json()) == (409, {"error": f"{made['id']} is submitted."})
    cancelled = sandbox.ask()
    sandbox.act(cancelled, "cancel")
    assert sandbox.status(cancelled) == "cancelled"
    sandbox.act(cancelled, "delete")
    assert sandbox.visiono("GET", f"/photo-requests/{cancelled['id']}").status_code == 404
    assert sandbox.control("GET", "/photo-requests")[-1]["status"] == "deleted"


def test_submit_as_it_is(sandbox):
    made = sandbox.ask(items=ITEMS)
    assert sandbox.act(made, "submit", fill=False)["photos"] == []
    assert sandbox.status(made) == "submitted"


def test_unknown_things_are_refused(sandbox):
    made = sandbox.ask()
    assert sandbox.call("control_url", "POST", f"/photo-requests/{made['id']}/dance").status_code == 422
    assert sandbox.call("control_url", "POST", "/photo-requests/none/open").status_code == 404
    assert sandbox.call("control_url", "PUT", "/person", json={"behaviour": "shy"}).status_code == 422
    assert sandbox.call("control_url", "PUT", "/person", json={"mood": "good"}).status_code == 422
