"""The contestants: the trigger with which each waits for a photo request, and its connection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from benchmarks.message_files import Json

INTERVAL = 60.0


@dataclass(frozen=True)
class WaitedRequest:
    """A photo request to wait for.

    :param speed: virtual seconds in a real second
    """

    id: str
    created_at: str
    expires_at: str
    speed: float


class Contestant:
    """Waits for each photo request with its own trigger."""

    name: str

    def trigger(self, request: WaitedRequest, prefix: str = "") -> BaseTrigger:
        """Return the trigger for a request.

        :param prefix: prefix of the connection's id
        """
        raise NotImplementedError

    def serialized_trigger(self, request: WaitedRequest, prefix: str = "") -> tuple[str, Json]:
        """Return the trigger as Airflow stores it: class path and arguments."""
        return self.trigger(request, prefix).serialize()

    def connection(self, info: Json, prefix: str = "") -> dict[str, Json]:
        """Return the connection to a sandbox.

        :param info: addresses and keys of the sandbox
        :return: connection id -> fields
        """
        host, key = info["visiono_url"], info["visiono_key"]
        return {f"{prefix}visiono_default": {"conn_type": "visiono", "host": host, "password": key}}


class Provider(Contestant):
    """This provider with its real settings, on a fast clock."""

    name = "this provider"

    def trigger(self, request: WaitedRequest, prefix: str = "") -> BaseTrigger:
        """Return the trigger of the operators and sensors."""
        from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

        known = {"status": "pending", "created_at": request.created_at, "expires_at": request.expires_at}
        return VisionoPhotoRequestTrigger(
            [request.id],
            f"{prefix}visiono_default",
            poke_interval=INTERVAL,
            min_dwell=10.0,
            states={request.id: known},
        )


class HttpSensor(Contestant):
    """The HTTP provider's sensor. It can only wait until a call stops returning 404."""

    name = "HttpSensor"

    def trigger(self, request: WaitedRequest, prefix: str = "") -> BaseTrigger:
        """Return the sensor's trigger, with the sensor's own arguments."""
        from airflow.providers.http.sensors.http import HttpSensor as Sensor
        from airflow.providers.http.triggers.http import HttpSensorTrigger

        sensor = Sensor(
            task_id="wait",
            http_conn_id=f"{prefix}http_visiono",
            endpoint=f"photo-requests/{request.id}/download-urls",
            poke_interval=INTERVAL / request.speed,
            deferrable=True,
        )
        return HttpSensorTrigger(
            endpoint=sensor.endpoint,
            http_conn_id=sensor.http_conn_id,
            data=sensor.request_params,
            headers=sensor.headers,
            method=sensor.method,
            extra_options=sensor.extra_options,
            poke_interval=sensor.poke_interval,
        )

    def connection(self, info: Json, prefix: str = "") -> dict[str, Json]:
        """Return an HTTP connection, with the API key as a header."""
        extra = json.dumps({"X-API-Key": info["visiono_key"]})
        return {f"{prefix}http_visiono": {"conn_type": "http", "host": info["visiono_url"], "extra": extra}}


class Plain(Contestant):
    """Polls once for each task and interval."""

    name = "one poll per task"

    def trigger(self, request: WaitedRequest, prefix: str = "") -> BaseTrigger:
        """Return the trigger that a careful author writes today."""
        from benchmarks.peer_triggers import PlainTrigger

        return PlainTrigger(f"{prefix}visiono_default", request.id, INTERVAL / request.speed)


class Sleeper(Contestant):
    """Sleeps without a call, to measure the cost of Airflow itself."""

    name = "only sleeping"

    def trigger(self, request: WaitedRequest, prefix: str = "") -> BaseTrigger:  # noqa: ARG002
        """Return a trigger that sleeps. The warm-up trigger ends at once."""
        from benchmarks.peer_triggers import SleepTrigger

        return SleepTrigger(0.1 if prefix else 86400.0)


PROVIDER, HTTP_SENSOR, PLAIN, SLEEPER = Provider(), HttpSensor(), Plain(), Sleeper()
