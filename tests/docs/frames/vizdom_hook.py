from airflow_provider_visio.hooks.vizdom import VizdomHook

hook = VizdomHook()
# BLOCK
