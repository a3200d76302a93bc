"""Developer commands: a real Airflow and the sandbox, started and stopped as one."""
