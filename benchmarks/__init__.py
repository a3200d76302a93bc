"""Benchmarks of the provider, compared with peers. See README.md."""
