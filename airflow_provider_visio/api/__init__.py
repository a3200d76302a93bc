"""Both services as HTTP calls; knows nothing of Airflow."""
