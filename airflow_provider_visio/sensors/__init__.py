"""Sensors for both services."""
