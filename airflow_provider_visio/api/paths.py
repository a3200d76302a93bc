"""What a path may be that somebody wrote: below the base URL, for what lies elsewhere must not be sent the key."""

from __future__ import annotations

from urllib.parse import unquote


def path_fault(path: str) -> str:
    """Return why a path, which may have a query, cannot be asked for; empty where it can."""
    if "#" in path:
        return "it has a '#', which no service is sent; write %23 for one in a name"
    bare = path.partition("?")[0]
    if "://" in bare or bare.startswith("//"):
        return "it is a whole URL; give the part after the connection's base URL, such as '/photo-requests?page=2'"
    # As the HTTP library reads it: that takes %2e for a dot.
    if {".", ".."} & set(unquote(bare).split("/")):
        return "it has a '.' or '..' between slashes, which leads out of the base URL"
    return ""
