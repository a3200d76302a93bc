"""Who is compared: how each of them waits for one photo request, and the connection that it needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from benchmarks.message_files import Json

INTERVAL = 60.0


@dataclass(frozen=True)
class Wanted:
    """A photo request to wait for, as the worker saw it last, and the speed at which time passes."""

    id: str
    created_at: str
    expires_at: str
    speed: float


class Contestant:
    """Waits for photo requests with one trigger each."""

    name: str

    def trigger(self, wanted: Wanted, prefix: str = "") -> BaseTrigger:
        """Return the trigger for one request, over the connection whose id has this prefix."""
        raise NotImplementedError

    def order(self, wanted: Wanted, prefix: str = "") -> tuple[str, Json]:
        """Return the trigger as it is stored: its class path and its arguments."""
        return self.trigger(wanted, prefix).serialize()

    def connection(self, info: Json, prefix: str = "") -> dict[str, Json]:
        """Return the connection to a sandbox that the trigger needs, by its id."""
        host, key = info["visiono_url"], info["visiono_key"]
        return {f"{prefix}visiono_default": {"conn_type": "visiono", "host": host, "password": key}}


class Provider(Contestant):
    """This provider, with its real settings: its clock is fast."""

    name = "this provider"

    def trigger(self, wanted: Wanted, prefix: str = "") -> BaseTrigger:
        """Return what the operators and sensors defer to."""
        from airflow_provider_visio.triggers.visiono import VisionoPhotoRequestTrigger

        known = {"status": "pending", "created_at": wanted.created_at, "expires_at": wanted.expires_at}
        return VisionoPhotoRequestTrigger(
            [wanted.id],
            f"{prefix}visiono_default",
            poke_interval=INTERVAL,
            min_dwell=10.0,
            states={wanted.id: known},
        )


class HttpSensor(Contestant):
    """The HTTP provider's sensor; all it can wait for is that something is no longer 404."""

    name = "HttpSensor"

    def trigger(self, wanted: Wanted, prefix: str = "") -> BaseTrigger:
        """Return what the sensor defers to, made of the sensor's own arguments."""
        from airflow.providers.http.sensors.http import HttpSensor as Sensor
        from airflow.providers.http.triggers.http import HttpSensorTrigger

        sensor = Sensor(
            task_id="wait",
            http_conn_id=f"{prefix}http_visiono",
            endpoint=f"photo-requests/{wanted.id}/download-urls",
            poke_interval=INTERVAL / wanted.speed,
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
        """Return an HTTP connection with the key among its headers."""
        extra = json.dumps({"X-API-Key": info["visiono_key"]})
        return {f"{prefix}http_visiono": {"conn_type": "http", "host": info["visiono_url"], "extra": extra}}


class Plain(Contestant):
    """One poll per task."""

    name = "one poll per task"

    def trigger(self, wanted: Wanted, prefix: str = "") -> BaseTrigger:
        """Return the careful author's trigger."""
        from benchmarks.peer_triggers import PlainTrigger

        return PlainTrigger(f"{prefix}visiono_default", wanted.id, INTERVAL / wanted.speed)


class Sleeper(Contestant):
    """Waits and asks nobody: Airflow's own share."""

    name = "only sleeping"

    def trigger(self, wanted: Wanted, prefix: str = "") -> BaseTrigger:  # noqa: ARG002
        """Return a trigger that sleeps; the one to warm up wakes at once."""
        from benchmarks.peer_triggers import SleepTrigger

        return SleepTrigger(0.1 if prefix else 86400.0)


PROVIDER, HTTP_SENSOR, PLAIN, SLEEPER = Provider(), HttpSensor(), Plain(), Sleeper()
