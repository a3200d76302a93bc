"""What the provider costs, measured beside peers. See README.md."""
