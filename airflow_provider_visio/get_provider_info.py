"""The metadata that Airflow reads about this provider; imports nothing of Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_visio.connection_form import VISIONO_FORM, VIZDOM_FORM

_PACKAGE = "airflow_provider_visio"
_SERVICES = {"Visiono": "visiono", "Vizdom": "vizdom"}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata (the shape of Airflow's ``provider_info.schema.json``)."""
    return {
        "package-name": "airflow-provider-visio",
        "name": "Visio",
        "description": "Photo requests (Visiono) and dashboard exports (Vizdom)",
        "integrations": [
            {
                "integration-name": "Visiono",
                "external-doc-url": "https://visiono.io/docs/developers/api-reference",
                "tags": ["service"],
            },
            {
                "integration-name": "Vizdom",
                "external-doc-url": "https://docs.flowstatehq.com/api-reference/introduction",
                "tags": ["service"],
            },
        ],
        "connection-types": [VISIONO_FORM.metadata(), VIZDOM_FORM.metadata()],
        "asset-uris": [
            {
                "schemes": ["visiono", "vizdom"],
                "handler": None,  # Airflow skips an entry without it
                "to_openlineage_converter": f"{_PACKAGE}.assets.openlineage.convert_asset_to_openlineage",
            }
        ],
        "plugins": [{"name": "visio", "plugin-class": f"{_PACKAGE}.plugins.visio.VisioPlugin"}],
        "extra-links": [
            f"{_PACKAGE}.extra_links.VisionoRequestLink",
            f"{_PACKAGE}.extra_links.VizdomDashboardLink",
            f"{_PACKAGE}.extra_links.VisionoPhotosLink",
            f"{_PACKAGE}.extra_links.VizdomFilesLink",
        ],
        "config": {
            "visio": {
                "description": "Settings of the Visiono and Vizdom provider.",
                "options": {
                    "min_dwell": {
                        "description": (
                            "Seconds for which a deferred task stays deferred at least. Airflow 3.3 may fail a task "
                            "whose trigger fires right after it deferred (apache/airflow#72716)."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "20",
                        "default": "10",
                    },
                    "gallery": {
                        "description": (
                            "Whether the API server shows stored photos and exports in Airflow's UI, and tasks have a "
                            "button for it. It lends the API server's right to read the store to all who may read the "
                            "XComs of a task. Set it for the API server and the workers."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                    "webhooks": {
                        "description": (
                            "Whether the API server takes Visiono's webhooks at /visio/webhooks/<connection id>, and "
                            "the triggerer lets them wake its polls. Set it for both."
                        ),
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    },
                    "webhook_poll_interval": {
                        "description": (
                            "Seconds between two polls while webhooks arrive as expected; the poke_interval of a wait "
                            "applies where it is longer."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "600",
                        "default": "300",
                    },
                    "webhook_read_interval": {
                        "description": (
                            "Seconds between two looks of the triggerer for webhooks of a connection, while a task "
                            "waits on it."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "5",
                        "default": "2",
                    },
                },
            },
        },
        **{kind: _modules(kind) for kind in ("hooks", "operators", "sensors", "triggers")},
    }


def _modules(kind: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": name, "python-modules": [f"{_PACKAGE}.{kind}.{module}"]}
        for name, module in _SERVICES.items()
    ]
