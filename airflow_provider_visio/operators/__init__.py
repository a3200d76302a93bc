"""Operators for both services."""
