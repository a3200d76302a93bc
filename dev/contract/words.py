"""What docs/contract.md says beside its tables."""

INTRO = """\
# What both services are known to do

<!-- Made from docs/openapi and the code by `python -m dev.contract --write`; change those, not this page. -->

Neither vendor publishes a complete reference, and nothing here was tried against a live service. So each call, each
field and each limit says where it is known from. This page has a line for each call; the fields are in
[`visiono.yaml`](openapi/visiono.yaml) and [`vizdom.yaml`](openapi/vizdom.yaml), OpenAPI 3.1 documents that were
written by hand from the vendors' pages.

The column *operator, sensor or trigger* names all that make a call, also those that only look whether an earlier try
has made something, or take back what is replaced or killed: the tasks for which a key must be allowed to make it.

Where sources disagree, the upper one in this table counts:

| evidence | where it is from |
|---|---|
| seed | the vendor's API reference |
| docs | another page of the vendor's documentation |
| plugin | Visiono's own plugin for Claude, whose API has other names in places: a second and possibly older dialect |
| inferred | it follows from several of these, and none states it |
| assumed | a guess of ours: what comparable products do, or what Laravel does, whose words Visiono's errors have |

**What this is checked with.** `make contract` has [schemathesis](https://schemathesis.readthedocs.io) try the
stand-in `visio-sandbox`, in all dialects, with thousands of good and bad requests made from the documents. `make
test` has each hook method called and what it sends compared with the documents, and has it read each documented
example; it also records which operator, sensor or trigger makes which call. Sandbox, client and documents were written
apart from each other, so that a wrong field name in one of them is a failing test. What they share is our reading of
the pages: that the live services behave so is not shown by any of this.
"""

VISIONO = """\
The column *dialect* tells which of the vendor's two sources has the call. Which one is written is the connection's
extra `dialect`; both are read. Where a call is missing at your service, the 404 says so, and which extra to change.

One field has a name in each: the `items` of a photo request (plugin, and replies in both) are sent as `photo_slots`
(docs) in the dialect `reference`; also in a batch, of which no page shows the body. Fields and filters that the plugin
alone shows have no other name, so they are sent in both dialects; the `items` of a permanent link are among them. Calls
and filters that are sent beyond the dialect are [listed](../tests/contract/hook_calls.py) with reasons (`BEYOND`); a
test sees to it that there are no others.
"""

VIZDOM = """\
Vizdom's public reference shows one call. It names the others in prose, without a path: all of them are our proposal.
"""

ASSUMPTIONS = """\
### What is assumed of Vizdom, and how to replace it

Each line is a name of the connection's extra `contract`. Give only what differs, for example:

```json
{"contract": {"start_path": "/dashboards/{dashboard_id}/export", "done_words": ["success", "done"]}}
```

`*_path` is below the base URL and may have a query, `*_verb` the HTTP method, `*_field` the name of a JSON field,
`*_words` what the service may say there. `formats` is a list of those that the service makes, as it writes them, or an
object with its own words for them, such as `{"pdf": "PDF", "xlsx": "Excel"}`: a task asks for `xlsx`, and the service
is sent `Excel`. There are no others than `pdf`, `png`, `csv`, `jpg` and `xlsx`, for a file of another could not be
verified. Where the table says "may be empty", an empty one (`""`, or `[]` for words)
means that the service has no such field or word. A name that is not in the table is refused, with the nearest one that
is, and so are two fields of one body with the same name.
"""

DIFFERS = """\
## When the live service turns out to differ

**See what it says.** The error names the call, the service's own words and its `request_id`. An
`UnexpectedReplyError` says what was missing in a reply that was no error.

**Set an extra**, where one fits. Visiono answers 404 on links, or does not take `PATCH`: the other dialect.

```json
{"dialect": "plugin"}
```

Vizdom has another path, field or word: the extra `contract`, see above. The service is somewhere else: the
connection's Host. It allows more or fewer calls: `calls_per_minute`, and Visiono's `calls_per_hour`.

**Make the call yourself**, until the provider can. `request` and `request_pages` have the same authentication,
retries, paging and errors as all other methods:

<!-- test: in=visiono_hook -->
```python
open_ones = list(hook.request_pages("GET", "/photo-requests", params={"status": "pending"}))
```

**Tell us**, in an issue: the call (method and path), what you expected, and the reply's status and body. The hook's
error text is made to be shown: it has neither keys nor signed links. Where you need a reply as it came, take it with
`curl --include --header @key.txt <address>`, where the file `key.txt` has the one line `X-API-Key: <your key>`
(Vizdom: `Authorization: Bearer <your key>`), so that the key is in no command and in no history. Before you send it
on, replace by `xxx` the values of `download_url`, `thumbnail_url`, `url`, `request_url`, `unique_code`,
`numeric_code`, `secret`, `recipient_email` and `email`, and send no photo.
"""
