"""Hooks: connection, authentication and retry for both services."""
