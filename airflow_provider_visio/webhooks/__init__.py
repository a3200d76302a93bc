"""The service's webhooks: received in Airflow's API server, read in its triggerer."""

# The path of the receiver; the connection's id follows it.
PREFIX = "/visio/webhooks"
