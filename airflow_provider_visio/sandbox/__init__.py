"""A stand-in for Visiono and Vizdom, for tests, demonstrations and trying things out: `visio-sandbox`.

It was written from the vendors' public pages alone and shares no code with the provider's client, so that a
wrong field name in either shows up as a failure instead of agreeing with itself. Every API route carries how
surely it is known (see `evidence`).

What it does not do, and what to keep in mind:

* Nothing here was compared with the live services. Where their pages are silent the most probable behaviour
  was chosen, for Visiono mostly that of the Laravel framework, and is labelled `assumed`.
* Assumed for Visiono: how lists are paged and ordered; the bodies of 401, 403, 404, 405, 429 and 500; 204
  for DELETE; every length and range (instructions 5,000 characters, 50 items, 64 KB of metadata,
  `expires_in_hours` 1 to 8760 with 72 as default); that unknown body fields are refused; the body and the
  all-or-nothing of batches; the names of counters in /stats; what happens when a free plan's photos are used up.
* By default both of Visiono's dialects are spoken at once: permanent links and smart links are the same records.
  `--dialect reference` or `plugin` speaks one alone: the calls, times, ids, headers and errors that its pages
  show. Bodies keep the fields of both, as either source shows examples only, but not two names of one field: a
  request's `items` (plugin) are `photo_slots` in the documentation. How lists are paged is assumed, and so is that
  a request whose DELETE the plugin calls cancelling can be read from then on as `cancelled`.
* Assumed for Vizdom: all but `GET /dashboards` and the 404 body. The numbers in its
  dashboards are fixed; a data source changes none of them, and its test fails for the host `unreachable.example`
  only. Invites are file_of_bytes, never mailed, and nobody takes one up.
* Webhooks are signed and recorded (`/control/deliveries`), never sent. Both header sets are on each delivery,
  and what the documentation's own signature covers is not known.
* Workflow mode (set at `/control/permanent-links/{id}/workflow`) has the plugin's parameters and signatures; what
  its error pages say, and that an address from the future is refused like an old one, is assumed.
* Assumed of the free plan: that making a permanent link is refused with 403 (a page says that it has none).
* Custom domains, CAPTCHAs on codes, Dropbox, ZIP and PDF reports of photos are not there.
* Storage answers GET of whole files; there are no ranges and no HEAD.
* State is in memory, one workspace, one process. It is not meant to face a network: the control interface
  takes no key, and whoever reaches the port can do everything.
"""
