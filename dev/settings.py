"""Write an airflow.cfg for a fast start on the loopback interface, without optional parts."""

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
    """Create a key that encrypts connections and variables in the database."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def defaults(home: Path, dags: Path, database_url: str, port: int, parallelism: int, url: str) -> Settings:
    """Return the settings that differ from Airflow's defaults.

    :param url: base URL of the API server
    """
    return {
        "core": {
            "dags_folder": dags,
            "executor": "LocalExecutor",
            # LocalExecutor starts this number of workers at once.
            "parallelism": parallelism,
            "max_active_tasks_per_dag": max(parallelism, 16),
            "load_examples": False,
            "fernet_key": fernet_key(),
            "simple_auth_manager_all_admins": True,
            "execution_api_server_url": f"{url}/execution/",
            # The default looks up the host's name in DNS, which can take seconds.
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
        # Components that start separately must share this secret, or the API server refuses tasks.
        "api_auth": {"jwt_secret": secrets.token_urlsafe(32)},
        "scheduler": {"scheduler_idle_sleep_time": 0.5},
        "dag_processor": {
            # Parse once: a second parse of unchanged files takes processor time from the start.
            "min_file_process_interval": 3600,
            "parsing_processes": 1,
            "print_stats_interval": 0,
        },
    }


def merge(settings: Settings, changes: Mapping[str, Mapping[str, object]]) -> Settings:
    """Change settings in place, and return them."""
    for section, options in changes.items():
        settings.setdefault(section, {}).update(options)
    return settings


def write(settings: Settings, path: Path) -> None:
    """Write airflow.cfg. Only its owner can read it, because it has keys."""
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
    """Return the environment variables of this process, without Airflow settings and proxies.

    :param home: the AIRFLOW_HOME
    :param extra: further variables
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW"))
        and not name.lower().endswith("_proxy")
        # With bytecode files, a module is compiled once and not in every process.
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
