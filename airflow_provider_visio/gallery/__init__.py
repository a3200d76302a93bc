"""The gallery: a page in Airflow's UI that shows the files that a task stored. Off until ``[visio] gallery`` is set."""

# The path of the app in the API server.
PREFIX = "/visio/gallery"
