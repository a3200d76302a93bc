"""
Rules that a schema cannot express: a slug belongs to one link only, an address to one invite.

Schemathesis sends the same valid value many times; each time it becomes another one of the same shape, and values that
are not valid stay as they are.
"""

from __future__ import annotations

import itertools
import re

import schemathesis

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
SLUG = re.compile(r"[a-z0-9-]{3,30}")
ADDRESS = re.compile(r"([!-?A-~]{1,64})(@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})")

_numbers = itertools.count(1)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    body = case.body
    if not isinstance(body, dict):
        return
    slug, address = body.get("custom_slug"), body.get("email")
    if isinstance(slug, str) and SLUG.fullmatch(slug):
        case.body = {**body, "custom_slug": _another(len(slug))}
    elif isinstance(address, str) and (parts := ADDRESS.fullmatch(address)):
        case.body = {**body, "email": (_another(max(5, len(parts[1]))) + parts[2])[: max(255, len(address))]}


def _another(length: int) -> str:
    number, text = next(_numbers), ""
    while number:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
    return text.rjust(length, "0")[-length:]
