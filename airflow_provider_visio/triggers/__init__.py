"""Triggers for both services."""
