"""Developer tools: start a real Airflow and the sandbox together, and stop them."""
