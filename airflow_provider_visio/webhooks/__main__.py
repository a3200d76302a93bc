"""
Set up the webhook of a Visiono connection: create the endpoint, and store its secret in the connection.

    python -m airflow_provider_visio.webhooks CONNECTION_ID ADDRESS_OF_AIRFLOW
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_visio.webhooks import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up a webhook, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_visio.webhooks", description=__doc__)
    parser.add_argument("conn_id", help="id of the Visiono connection")
    parser.add_argument(
        "address", help="public address of the API server or its gateway, such as https://airflow.example.com"
    )
    options = parser.parse_args(arguments)
    # As Airflow's own commands do, so that connections of the database are found.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from airflow.models.connection import Connection
    from airflow.providers.common.compat.sdk import AirflowException

    url = f"{options.address.rstrip('/')}{PREFIX}/{quote(options.conn_id, safe='')}"
    try:
        hook = Connection.get_connection_from_secrets(options.conn_id).get_hook()  # type: ignore[no-untyped-call]
        endpoint = hook.ensure_webhook(url)
    except AirflowException as error:
        print(error, file=sys.stderr)
        return 1
    if not endpoint["created"]:
        print(
            f"The endpoint {endpoint['id']} is there already. Its secret was shown when it was created. If the "
            "connection does not have it, delete the endpoint and run this again."
        )
    elif _store(options.conn_id, endpoint["secret"]):
        print(
            f"Created the endpoint {endpoint['id']} and stored its secret in the connection {options.conn_id}."
        )
    else:
        print(
            f"Created the endpoint {endpoint['id']}. The connection {options.conn_id} is not in Airflow's database: "
            f'add "webhook_secret": "{endpoint["secret"]}" to its extras yourself. The service does not show it again.'
        )
    return 0


def _store(conn_id: str, secret: str) -> bool:
    """Store a secret in a connection, and return whether it is in Airflow's database."""
    import json

    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        row = session.scalar(select(Connection).where(Connection.conn_id == conn_id).with_for_update())
        if row is None:
            return False
        row.extra = json.dumps({**row.extra_dejson, "webhook_secret": secret})
        return True


if __name__ == "__main__":
    sys.exit(main())
