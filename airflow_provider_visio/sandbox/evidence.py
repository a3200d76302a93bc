"""Evidence labels of API routes: where each call is known from.

`seed`      the vendor's public API reference
`docs`      another page of the vendor's documentation
`plugin`    the vendor's own plugin repository
`inferred`  follows from several of these; none states it
`assumed`   this project's guess
"""

from functools import partial
from typing import Any, Literal

from fastapi.routing import APIRoute

from .options import Dialect

Evidence = Literal["seed", "docs", "plugin", "inferred", "assumed"]


def known(
    level: Evidence,
    source: str,
    scope: str = "",
    assumed: str = "",
    *,
    also: Evidence | None = None,
    role: str = "",
    status: int = 200,
) -> dict[str, Any]:
    """Return keyword arguments for a route decorator: evidence, source, and what is assumed.

    :param scope: the key's scope that the vendor's plugin names.
    :param also: a second source that names the call.
    :param role: the lowest role that Vizdom's help pages allow.
    """
    extra = {
        "evidence": level,
        "source": source,
        "also": also,
        "assumed": assumed,
        "scope": scope,
        "role": role,
    }
    shown = {f"x-{name}": value for name, value in extra.items() if value}
    return {"openapi_extra": shown, "status_code": status}


# Of Visiono's calls.
seed = partial(known, "seed", "visiono.io/docs/developers/api-reference")
_PLUGIN = "github visiono-io/visiono-claude-plugin, plugin/skills/visiono-api/SKILL.md"
plugin = partial(known, "plugin", _PLUGIN)
both = partial(seed, also="plugin")
guess = partial(known, "assumed", _PLUGIN)


def in_dialect(route: APIRoute, dialect: Dialect) -> bool:
    """Whether the sources of a dialect name a route of Visiono; `both` has the assumed routes too."""
    extra = route.openapi_extra or {}
    levels = {extra.get("x-evidence"), extra.get("x-also")}
    if dialect == "reference":
        return bool(levels & {"seed", "docs"})
    return dialect == "both" or "plugin" in levels
