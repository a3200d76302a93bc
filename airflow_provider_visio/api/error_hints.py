"""Chooses the advice in an error: what the user can do about a refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_visio.api.call import Call
    from airflow_provider_visio.api.config import ServiceConfig

_ADVICE = {
    402: "The plan does not allow this; see the service's dashboard.",
    404: "Check the id, and that the connection's Host is the API's base URL.",
    405: "Check that the connection's Host is the API's base URL.",
    410: "It existed once and is gone for good.",
}
_SERVER = "The fault is on the service's side; try again later."
AMBIGUOUS_HINT = (
    "The service may or may not have done it. Look in its dashboard before you run the task again, "
    "or it may be done twice."
)
NO_MAIL_HINT = (
    "This plan does not send e-mail: leave out recipient_email and send_email, and share the request_url "
    "of the result yourself (by SMS, chat or your own mail)."
)
_NO_MAIL = re.compile(r"upgrade|\bfree plan\b|\bprohibited\b(?! (when|unless)\b)", re.IGNORECASE)
# What the service says once a quota is used up is not known (facts: unknown), so its words are looked at. A limit may
# be that of a field: only one of the plan is a quota.
_QUOTA = re.compile(
    r"\bquotas?\b|\bused up\b|"
    r"(?=.*\b(plan|months?|monthly|lifetime|billing)\b).*\blimit\b.*\b(reached|exceeded|exhausted)\b",
    re.IGNORECASE | re.DOTALL,
)
# Words on a 429 that mean the plan, not the rate of calls.
_OF_PLAN = re.compile(
    r"(?!.*\b(rate|too many|seconds?|minutes?|hours?)\b)"
    r".*\b(months?|monthly|lifetime|billing|photos?(?![ -]requests?\b))\b",
    re.IGNORECASE | re.DOTALL,
)
_PLAN = re.compile(r"\b(upgrade|your (current )?plan|free plan)\b", re.IGNORECASE)
_PLAN_ADVICE = "The plan does not include this: upgrade it in the service's dashboard, or do without."
_ITEMS_ADVICE = (
    "Items are sent as photo_slots in the dialect `reference` and as items in `plugin`: check the connection's extra "
    "`dialect`."
)
# Laravel's words for a path that it does not have at all (facts: section 17).
_NO_ROUTE = re.compile(r"\broute\b.*\b(could not be found|not supported)\b", re.IGNORECASE)
# Routes that the other dialect has too, under another name.
_RENAMED = re.compile(r"/(permanent|smart)-links(/\{link_id\})?")


def hint_for(
    call: Call, config: ServiceConfig, status: int, words: str, fields: Mapping[str, list[str]]
) -> str:
    """Return the advice on the service's message and its problems by field; empty where there is none."""
    if not call.repeatable and (status >= 500 or status == 408):
        return AMBIGUOUS_HINT
    if refused_mail_fields(fields):
        return NO_MAIL_HINT
    if status >= 500:
        return _SERVER
    if says_quota_used_up(call, config, status, words, fields):
        return config.service.quota_advice
    if status == 401:
        return _key_advice(config)
    if status in {402, 403} and _PLAN.search(words):
        return _PLAN_ADVICE
    if status == 403:
        return _right_advice(call, config)
    if status in {404, 405} and call.known_to != "both":
        return _dialect_advice(call, config, words)
    if status in {400, 422} and _about_items(fields):
        return _ITEMS_ADVICE
    return _ADVICE.get(status, "")


def says_quota_used_up(
    call: Call, config: ServiceConfig, status: int, words: str, fields: Mapping[str, list[str]]
) -> bool:
    """Return whether a refusal means that the plan's quota is used up, so that no input and no retry will help."""
    if call.method != "POST" or not config.service.quota_advice or refused_mail_fields(fields):
        return False
    if status == 422 and fields:
        # A field has other limits, too.
        texts = [words, *fields, *(problem for problems in fields.values() for problem in problems)]
        return any("quota" in text.lower() for text in texts)
    if status == 429:
        return bool(_QUOTA.search(words) and _OF_PLAN.match(words))
    return status in {402, 403, 422} and bool(_QUOTA.search(words))


def refused_mail_fields(fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the fields that a plan without e-mail refuses, with their problems."""
    refused: dict[str, list[str]] = {}
    for name, problems in fields.items():
        field = name.rpartition(".")[2]
        if field in {"recipient_email", "send_email"} and any(map(_NO_MAIL.search, problems)):
            refused[field] = problems
    return refused


def says_unknown_route(words: str) -> bool:
    """Return whether the service says that it does not have the call at all, whatever the id."""
    return bool(_NO_ROUTE.search(words))


def _about_items(fields: Mapping[str, list[str]]) -> bool:
    """Return whether a refusal names ``photo_slots``, which no user writes, or prohibits ``items`` as such."""
    return any(
        "photo_slots" in name or (name == "items" and any("prohibited" in problem for problem in problems))
        for name, problems in fields.items()
    )


def _key_advice(config: ServiceConfig) -> str:
    return (
        "Check the API key in the connection's Password: it may be mistyped, revoked or regenerated. "
        f"See {config.service.key_page} whether it is active. A new key works as soon as it is in the connection."
    )


def _right_advice(call: Call, config: ServiceConfig) -> str:
    if config.service.denied_advice:
        return config.service.denied_advice
    words = "The key is known, but its plan, scope or role does not allow this call."
    if call.needs:
        words += f" The call needs {call.needs}: see {config.service.key_page}, or use another key."
    return words


def _dialect_advice(call: Call, config: ServiceConfig, words: str) -> str:
    """Return the advice for a call that only one of the vendor's two descriptions has."""
    dialect = config.extra.get("dialect") or "reference"
    known, other = (
        ("API reference", "plugin") if call.known_to == "reference" else ("plugin", "API reference")
    )
    if says_unknown_route(words):
        doubt = "This service does not have the call"
    elif "{" in call.route:
        doubt = "Check the id: there may be no such thing, or this service does not have the call"
    else:
        doubt = "This service may not have the call"
    if dialect != call.known_to:
        change = f"set the connection's extra `dialect` to `{call.known_to}`, with a Host that has it"
    else:
        change = "check that the connection's Host is the API's base URL"
        away = "reference" if dialect == "plugin" else "plugin"
        if away == "plugin" or _RENAMED.fullmatch(call.route):
            change += (
                f", and whether your service follows the other: then set the extra `dialect` to `{away}`"
            )
    return f"{doubt}, which is in the vendor's {known} and not in its {other}: {change}."
