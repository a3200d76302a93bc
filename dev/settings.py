"""The airflow.cfg of a stack: quick to start, closed to the network, nothing optional."""

from __future__ import annotations

import base64
import os
import secrets
from configparser import RawConfigParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Settings = dict[str, dict[str, object]]

CONNECTION_PREFIX = "AIRFLOW_CONN_"


def fernet_key() -> str:
    """Make a key for connections and variables in the database."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def defaults(home: Path, dags: Path, database_url: str, port: int, parallelism: int) -> Settings:
    """Return all settings that differ from Airflow's own."""
    url = f"http://127.0.0.1:{port}"
    return {
        "core": {
            "dags_folder": dags,
            "executor": "LocalExecutor",
            # LocalExecutor forks that many workers at its start.
            "parallelism": parallelism,
            "max_active_tasks_per_dag": max(parallelism, 16),
            "load_examples": False,
            "fernet_key": fernet_key(),
            "simple_auth_manager_all_admins": True,
            "execution_api_server_url": f"{url}/execution/",
            # The default asks the name servers for our own name, which can take seconds.
            "hostname_callable": "socket.gethostname",
            "test_connection": "Enabled",
        },
        "database": {"sql_alchemy_conn": database_url},
        "logging": {
            "base_log_folder": home / "logs",
            "dag_processor_child_process_log_directory": home / "logs" / "dag_processor",
            "colored_console_log": False,
        },
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": url,
            "workers": 1,
            "secret_key": secrets.token_urlsafe(32),
        },
        # Components that are started one by one must share this, or tasks are refused.
        "api_auth": {"jwt_secret": secrets.token_urlsafe(32)},
        "scheduler": {"scheduler_idle_sleep_time": 0.5},
        "dag_processor": {
            # Parsing once is enough: a second look at unchanged files takes a core from the start-up.
            "min_file_process_interval": 3600,
            "parsing_processes": 1,
            "print_stats_interval": 0,
        },
    }


def merge(settings: Settings, changes: Mapping[str, Mapping[str, object]]) -> Settings:
    """Put changes over settings."""
    for section, options in changes.items():
        settings.setdefault(section, {}).update(options)
    return settings


def write(settings: Settings, path: Path) -> None:
    """Write airflow.cfg, readable by the owner only: it has keys in it."""
    parser = RawConfigParser()
    parser.read_dict(
        {
            section: {name: str(value).replace("%", "%%") for name, value in options.items()}
            for section, options in settings.items()
        }
    )
    path.touch(mode=0o600)
    with path.open("w") as file:
        parser.write(file)


def environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment, less its own Airflow settings and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW"))
        and not name.lower().endswith("_proxy")
        # Compiled once is quicker than compiled in every process.
        and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **kept,
        "AIRFLOW_HOME": str(home),
        "NO_PROXY": "*",
        "PYTHONUNBUFFERED": "1",
        # Airflow warns about its own deprecated parts at every start.
        "PYTHONWARNINGS": "ignore",
        **extra,
    }
