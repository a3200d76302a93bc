"""How surely each API route is known, written on the route itself.

`seed`      the vendor's public API reference
`docs`      another page of the vendor's documentation
`plugin`    the vendor's own plugin repository
`inferred`  follows from several of these, stated by none
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
    """Keyword arguments for a route decorator: its evidence, source, and what about it is assumed.

    `also` is a lesser source that names the call too; `scope` is the key scope that the vendor's plugin names for it,
    `role` the least role that Vizdom's help pages ask for.
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
    """Whether a route of Visiono's is one that the dialect's sources name; both together have the assumed ones too."""
    extra = route.openapi_extra or {}
    levels = {extra.get("x-evidence"), extra.get("x-also")}
    if dialect == "reference":
        return bool(levels & {"seed", "docs"})
    return dialect == "both" or "plugin" in levels
