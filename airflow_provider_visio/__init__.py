"""Apache Airflow provider for Visiono (photo requests) and Vizdom (dashboard exports)."""

__version__ = "0.1.0"
