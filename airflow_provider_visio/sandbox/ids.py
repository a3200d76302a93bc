"""Ids and codes that look like the services' own."""

import secrets

# Without characters that look alike, as the Visiono help page on link codes says.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def token(length: int) -> str:
    """Return random lowercase letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def code(length: int = 6) -> str:
    """Return a link code such as `ABC234`."""
    return token(length).upper()


def digits(length: int = 6) -> str:
    """Return a numeric code such as `809530`."""
    return "".join(secrets.choice("0123456789") for _ in range(length))
