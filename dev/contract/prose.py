"""The handwritten text of docs/contract.md."""

INTRO = """\
# What both services are known to do

<!-- Generated from docs/openapi and the code by `python -m dev.contract --write`. Do not edit this page. -->

Neither vendor publishes a complete reference, and nothing here was tested against a live service. So each call, each
field and each limit has its evidence. This page has a line for each call. The fields are in
[`visiono.yaml`](openapi/visiono.yaml) and [`vizdom.yaml`](openapi/vizdom.yaml), OpenAPI 3.1 documents that were
written by hand from the vendors' pages.

The column *operator, sensor or trigger* names every class that sends the call. Some classes send it only to look up the
result of an earlier try, or to delete a request that is replaced or whose task is killed. The API key needs the
permissions for these calls.

If sources disagree, the upper one in this table counts:

| evidence | source |
|---|---|
| seed | the vendor's API reference |
| docs | another page of the vendor's documentation |
| plugin | Visiono's own plugin for Claude, whose API has some other names: a second and possibly older dialect |
| inferred | it follows from several of these sources, and none of them states it |
| assumed | our guess, from comparable products, or from Laravel, because Visiono's errors have its words |

**How this is checked.** `make contract` uses [schemathesis](https://schemathesis.readthedocs.io) to send thousands of
good and bad requests from the documents to the sandbox, in all dialects. `make test` calls each hook method, compares
its requests with the documents, and lets it read each documented example. It also checks which operator, sensor or
trigger sends which call. Sandbox, client and documents were written separately. So a wrong field name in one of them
fails a test. All three depend on our reading of the vendors' pages. No test shows that the live services behave in
this way.
"""

VISIONO = """\
The column *dialect* says which of the vendor's two sources has the call. The connection's extra `dialect` selects the
form of requests. Replies are read in both forms. If your service does not have a call, the error of the 404 names the
extra to change.

One field has two names: `items` (plugin, and replies in both) and `photo_slots` (docs). In the dialect `reference`, a
photo request is sent with `photo_slots`. So is a batch, although no page shows its body. Fields and filters that only
the plugin shows are sent in both dialects, because they have no other name. The `items` of a permanent link are among
them. The calls and filters that the provider sends beyond the dialect are [listed](../tests/contract/hook_calls.py)
with reasons (`BEYOND`). A test checks that this list is complete.
"""

VIZDOM = """\
Vizdom's public reference shows one call. It names the others in prose, without a path. Their paths and fields are our
proposal.
"""

ASSUMPTIONS = """\
### What is assumed of Vizdom, and how to replace it

Each line is a name of the connection's extra `contract`. Give only the names that differ, for example:

```json
{"contract": {"start_path": "/dashboards/{dashboard_id}/export", "done_words": ["success", "done"]}}
```

* `*_path` is a path below the base URL and may have a query, `*_verb` an HTTP method, `*_field` the name of a JSON
  field, `*_words` the values that the service may send there.
* `formats` is a list of the formats that the service exports, or an object with the service's own words for them, such
  as `{"pdf": "PDF", "xlsx": "Excel"}`: if a task asks for `xlsx`, the service gets `Excel`. Only `pdf`, `png`,
  `csv`, `jpg` and `xlsx` are possible, because files of other formats cannot be verified.
* The options of an export, such as filters, have no rows: a task gives them by the service's names. `options_field` is
  the field of the start call that takes them all; while it is empty, they are fields beside the format.
* The links of an export are looked for in `files_field` (a list of objects with `file_url_field` and, if they have
  names, `file_name_field`), then in `urls_field` (a list of links), then in `url_field` (one link, or a list).
* "may be empty": an empty value (`""`, or `[]` for words) means that the service does not have this field or word.
* A name that is not in the table causes an error, which names the most similar name of the table. Two fields of one
  body with the same name cause an error too.
"""

DIFFERS = """\
## When the live service differs

**Read the error.** It names the call, the service's own words and its `request_id`. An `UnexpectedReplyError` says
which field was missing in a successful reply.

**Set an extra**, if one fits. If Visiono answers permanent links with 404, or does not accept `PATCH`, use the other
dialect.

```json
{"dialect": "plugin"}
```

If Vizdom has another path, field or word, use the extra `contract`, as above. If the service has another address, set
the connection's Host. If it allows more or fewer calls, set `calls_per_minute`, and Visiono's `calls_per_hour`.

**Send the call yourself**, until the provider can. `request` and `request_pages` have the same authentication,
retries, paging and errors as all other methods:

<!-- test: in=visiono_hook -->
```python
open_ones = list(hook.request_pages("GET", "/photo-requests", params={"status": "pending"}))
```

**Report it** in an issue: the call (method and path), the reply that you expected, and the reply's status and body. You
can share the hook's error text: it has neither keys nor signed links. For the original reply, use
`curl --include --header @key.txt <address>`. The file `key.txt` has one line, `X-API-Key: <your key>` (Vizdom:
`Authorization: Bearer <your key>`), so that the key is in no command and no history. Before you share the reply,
replace with `xxx` the values of `download_url`, `thumbnail_url`, `url`, `request_url`, `unique_code`,
`numeric_code`, `secret`, `recipient_email` and `email`, and send no photo.
"""
