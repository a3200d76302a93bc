from airflow_provider_visio.hooks.visiono import VisionoHook

hook = VisionoHook()
# BLOCK
