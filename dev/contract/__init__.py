"""Both services' contracts (docs/openapi), and the page that is made from them: `python -m dev.contract --write`."""
