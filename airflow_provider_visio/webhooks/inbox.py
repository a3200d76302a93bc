"""
The inbox: an Airflow Variable for each connection, written in the API server and read in the triggerer.

It says that something has changed and which ids were named last. A lost write, a replay or a race can lose an id; the
token that each write renews still says that something has changed. The asset state store was not taken: it is in
Airflow 3.3 only, and gives the default in silence while no active DAG uses the asset.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_IDS = 100
# The last Unix timestamp that an inbox may have, in the year 5138: milliseconds are larger.
LATEST = 1e11

_DESCRIPTION = (
    "Which ids the webhooks of this Visiono connection named last. Written by airflow-provider-visio."
)

# One write at a time, so that a flood takes one of the API server's database connections, and not all.
_writing = threading.Lock()


def variable_of(conn_id: str) -> str:
    """Return the name of the Airflow Variable that is the inbox of a connection."""
    return f"visio_webhooks_{conn_id}"


@dataclass(frozen=True)
class Inbox:
    """
    The content of an inbox.

    :param changed: a token that each write renews that has something to look at.
    :param at: Unix timestamp of the last delivery.
    :param ids: what to look at, newest first, such as ``"photo_request:req_1"``; an id may be there several times.
    """

    changed: str = ""
    at: float = 0.0
    ids: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str | None) -> Inbox | None:
        """Return the content of a Variable, or None where it is none of ours."""
        try:
            found = json.loads(text or "")
            changed, at, ids = str(found["changed"]), float(found["at"]), found["ids"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        # NaN is not between any two numbers.
        if not 0 <= at < LATEST or not isinstance(ids, list):
            return None
        return cls(changed, at, tuple(one for one in ids if isinstance(one, str))[:MOST_IDS])

    def as_text(self) -> str:
        """Return what is stored."""
        return json.dumps({"changed": self.changed, "at": self.at, "ids": self.ids})

    def after(self, ids: Sequence[str], now: float) -> Inbox:
        """Return the inbox after a delivery; one without ids only says that webhooks arrive."""
        if not ids:
            return Inbox(self.changed, now, self.ids)
        return Inbox(secrets.token_hex(8), now, (*ids, *self.ids)[:MOST_IDS])

    def since(self, earlier: Inbox | None) -> tuple[set[str], bool]:
        """
        Return what was named since an earlier look, and whether more may have been.

        :param earlier: the inbox at that look; None for the first look.
        """
        if earlier is None:
            return set(self.ids), False
        if self.changed == earlier.changed:
            return set(), False
        # What is left of the earlier ids is at the end.
        new = next(n for n in range(len(self.ids) + 1) if self.ids[n:] == earlier.ids[: len(self.ids) - n])
        whole = 0 < new < len(self.ids) or (0 < new < MOST_IDS and not earlier.ids)
        return set(self.ids[:new] if whole else self.ids), not whole


def record_delivery(conn_id: str, ids: Sequence[str], now: float) -> None:
    """
    Write a delivery into a connection's inbox. It uses Airflow's database, so call it in the API server only.

    :param ids: what to look at; empty where nothing is.
    :param now: Unix timestamp.
    """
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import IntegrityError

    def write() -> None:
        with create_session() as session:
            # Not Variable.get and set, which ask all secrets backends first and lock nothing.
            name = Variable.key == variable_of(conn_id)
            row = session.scalar(select(Variable).where(name).with_for_update())
            inbox = (Inbox.from_text(row.val) if row else None) or Inbox(secrets.token_hex(8))
            text = inbox.after(ids, now).as_text()
            if row is None:
                row = Variable(variable_of(conn_id), description=_DESCRIPTION)  # type: ignore[no-untyped-call]
                session.add(row)
            row.val = text

    with _writing:
        try:
            write()
        except IntegrityError:
            write()  # another API server has just created it


def last_delivery(conn_id: str) -> float | None:
    """Return when a connection's last webhook came, as a Unix timestamp; None where none did, or nobody can say."""
    from airflow.providers.common.compat.sdk import Variable

    try:
        inbox = Inbox.from_text(Variable.get(variable_of(conn_id), default=None))
    except Exception:  # noqa: BLE001  outside of Airflow's processes nothing can be read
        return None
    return None if inbox is None else inbox.at


async def read_inbox(conn_id: str) -> Inbox | None:
    """
    Read a connection's inbox in the triggerer, or return None where there is none.

    :raises LookupError: this process has no way to Airflow's Variables.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetVariable

    send = getattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "asend", None)
    if send is None:
        raise LookupError("not in a triggerer")
    # Not Variable.get, which has no async form before Airflow 3.2 and asks in a thread.
    reply = await send(GetVariable(key=variable_of(conn_id)))
    # An answer without a value says that there is no such Variable.
    return Inbox.from_text(getattr(reply, "value", None))
