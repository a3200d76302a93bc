"""Evidence labels of API routes: where each call is known from.

`seed`      the vendor's public API reference
`docs`      another page of the vendor's documentation
`plugin`    the vendor's own plugin repository
`inferred`  follows from several of these; none states it
`assumed`   this project's guess
"""

from typing import Any, Literal

from fastapi.routing import APIRoute

from .options import Dialect

Evidence = Literal["seed", "docs", "plugin", "inferred", "assumed"]


def known(
    level: Evidence,
    source: str,
    *,
    also: Evidence | None = None,
    assumed: str = "",
    scope: str = "",
    role: str = "",
    status: int = 200,
) -> dict[str, Any]:
    """Return keyword arguments for a route decorator: evidence, source, and what is assumed.

    :param also: a second source that names the call.
    :param scope: the key's scope that the vendor's plugin names.
    :param role: the lowest role that Vizdom's help pages allow.
    """
    extra = {"x-evidence": level, "x-source": source}
    if also:
        extra["x-also"] = also
    if assumed:
        extra["x-assumed"] = assumed
    if scope:
        extra["x-scope"] = scope
    if role:
        extra["x-role"] = role
    return {"openapi_extra": extra, "status_code": status}


def in_dialect(route: APIRoute, dialect: Dialect) -> bool:
    """Whether the sources of a dialect name a route of Visiono; `both` has the assumed routes too."""
    extra = route.openapi_extra or {}
    levels = {extra.get("x-evidence"), extra.get("x-also")}
    if dialect == "reference":
        return bool(levels & {"seed", "docs"})
    return dialect == "both" or "plugin" in levels
