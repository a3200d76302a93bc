"""A stand-in for Visiono and Vizdom: `visio-sandbox`, for tests, demonstrations and first steps.

docs/sandbox.md describes it: options, recipients, control interface, faults, and what is assumed about the services.

It is written from the vendors' public pages and shares no code or constants with the provider's client: a wrong field
name in either one fails a test. Each API route has an evidence label, see `evidence`.
"""
