"""Connections as a page gives them: extras, a whole one, or a file for `airflow connections import`."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.bases.hook import BaseHook

from airflow_provider_visio.connection_form import VISIONO_FORM, VIZDOM_FORM
from airflow_provider_visio.hooks.visiono import VisionoHook
from airflow_provider_visio.hooks.vizdom import VizdomHook

from .stage import Stage

HOOKS: dict[str, Any] = {"visiono": VisionoHook, "vizdom": VizdomHook}
NAMES = {form.conn_type: {field.name for field in form.fields} for form in (VISIONO_FORM, VIZDOM_FORM)}


def accepted(conn_id: str, kind: str | None = None) -> None:
    """Have the hook read a connection; a name that no field has would be passed over in silence."""
    if BaseHook.get_connection(conn_id).conn_type == "http":
        assert "Authorization" in HttpHook(http_conn_id=conn_id).get_conn().headers
        return
    hook = HOOKS[kind or ("vizdom" if "vizdom" in conn_id else "visiono")](conn_id)
    connection = hook.get_connection(conn_id)
    config = hook.config()
    assert config.base_url.startswith("http")
    assert set(connection.extra_dejson) <= NAMES[connection.conn_type], connection.extra_dejson
    if "contract" in connection.extra_dejson:
        assert hook.contract


def check(value: Any, words: dict[str, str], stage: Stage) -> None:
    """
    Check a block of JSON or YAML.

    :param value: extras, a connection, or connections by id.
    :param words: ``of=vizdom`` says whose extras they are.
    """
    assert isinstance(value, dict)
    if "conn_type" in value:
        _define("page_conn", value, value["conn_type"], stage)
    elif value and all(isinstance(one, dict) and "conn_type" in one for one in value.values()):
        for conn_id, one in value.items():
            _define(conn_id, one, one["conn_type"], stage)
    else:
        kind = words.get("of") or ("visiono" if set(value) <= NAMES["visiono"] else "vizdom")
        _define("page_conn", {"conn_type": kind, "password": "key", "extra": value}, kind, stage)


def _define(conn_id: str, value: dict[str, Any], kind: str, stage: Stage) -> None:
    stage.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
    accepted(conn_id, kind)
