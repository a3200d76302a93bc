"""Airflow's simple auth manager, where one user may not read one DAG: there all users read all DAGs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class HidingAuthManager(SimpleAuthManager):
    """Hides the DAG ``hidden`` from the user ``outsider``."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **kwargs: Any) -> bool:
        if user.get_name() == "outsider" and (details is None or details.id == "hidden"):
            return False
        return super().is_authorized_dag(user=user, details=details, **kwargs)
