"""The values that must not leave home: made anew for each run, so that a find cannot be anything else."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from typing import Any

_LETTERS = string.ascii_lowercase + string.digits


def core() -> str:
    """Make the part of a value that is looked for: letters and digits, which no way of quoting changes."""
    # A letter first, so that it cannot pass for a number.
    return secrets.choice(string.ascii_lowercase) + "".join(secrets.choice(_LETTERS) for _ in range(31))


@dataclass(frozen=True)
class Secret:
    """
    One value.

    :param name: what to call it in a report.
    :param core: the part of it that is looked for.
    :param text: the whole of it.
    """

    name: str
    core: str
    text: str


def made(name: str, shape: str = "{}") -> Secret:
    found = core()
    return Secret(name, found, shape.format(found))


@dataclass(frozen=True)
class Markers:
    """
    All of a run.

    Addresses are named after where the DAG's author has them from.
    """

    visiono_key: Secret = field(default_factory=lambda: made("the Visiono key", "vsk_live_{}"))
    # With characters that change when they are put into a URL, or between quotes.
    vizdom_key: Secret = field(default_factory=lambda: made("the Vizdom key", "vzd+{}/=="))
    webhook_secret: Secret = field(default_factory=lambda: made("the webhook secret", 'whsec_"{}"'))
    workflow_secret: Secret = field(default_factory=lambda: made("the workflow secret"))
    source_password: Secret = field(default_factory=lambda: made("a data source's password", 'pa"ss/{}'))
    signature: Secret = field(default_factory=lambda: made("the signature of a link"))
    token: Secret = field(default_factory=lambda: made("the token in a link"))
    address: Secret = field(
        default_factory=lambda: made("an address from a variable", "o'neil+{}@example.com")
    )
    literal_address: Secret = field(
        default_factory=lambda: made("an address in a DAG file", "{}@example.com")
    )
    conf_address: Secret = field(default_factory=lambda: made("an address in a run's conf", "{}@example.com"))
    xcom_address: Secret = field(default_factory=lambda: made("an address from an XCom", "{}@example.com"))
    hook_address: Secret = field(default_factory=lambda: made("an address in a webhook", "{}@example.com"))
    hook_metadata: Secret = field(default_factory=lambda: made("a webhook's metadata"))
    hook_instructions: Secret = field(default_factory=lambda: made("a webhook's instructions", "Show {}."))
    planted: dict[str, Secret] = field(
        default_factory=lambda: {
            kind: made(f"planted: {kind}")
            for kind in ("log", "xcom", "trigger", "rendered", "state", "packed", "file", "temporary")
        }
    )

    @property
    def guarded(self) -> list[Secret]:
        """Those that must be found nowhere."""
        keys = [self.visiono_key, self.vizdom_key, self.webhook_secret, self.workflow_secret]
        hooked = [self.hook_address, self.hook_metadata, self.hook_instructions]
        return [*keys, self.source_password, self.signature, self.token, self.address, *hooked]

    @property
    def everything(self) -> list[Secret]:
        """All, with those that must be found somewhere."""
        addresses = [self.literal_address, self.conf_address, self.xcom_address]
        return [*self.guarded, *addresses, *self.planted.values()]

    @property
    def query(self) -> str:
        """A signed link's query, as an object store has it."""
        return (
            f"X-Amz-Expires=60&X-Amz-Security-Token={self.token.text}&X-Amz-Signature={self.signature.text}"
        )

    def into(self, source: str) -> str:
        """Put the values into a DAG file, where ``@@name@@`` stands."""
        values: dict[str, Any] = {
            name: secret.text for name, secret in vars(self).items() if isinstance(secret, Secret)
        }
        values |= {f"planted_{kind}": secret.text for kind, secret in self.planted.items()}
        for name, value in values.items():
            source = source.replace(f"@@{name}@@", value)
        return source
