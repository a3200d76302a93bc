"""Read docs/openapi, and generate docs/contract.md from it: `python -m dev.contract --write`."""
