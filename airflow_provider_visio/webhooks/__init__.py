"""The service's webhooks: received in Airflow's API server, read in its triggerer."""
