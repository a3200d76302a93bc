# ruff: noqa: F401  what the block uses
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator
from airflow_provider_visio.sensors.visiono import VisionoPhotoRequestSensor

with DAG("after_ask", schedule=None):
    ask = VisionoCreatePhotoRequestOperator.partial(task_id="ask").expand(instructions=["a", "b", "c"])
    # BLOCK
