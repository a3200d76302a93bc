# ruff: noqa: F401  what the block uses
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import DAG

from airflow_provider_visio.operators.visiono import VisionoCreatePhotoRequestOperator

with DAG("after_one_ask", schedule=None):
    ask = VisionoCreatePhotoRequestOperator(task_id="ask", instructions="x")
    # BLOCK
    ask >> ask.dag.get_task("post")
