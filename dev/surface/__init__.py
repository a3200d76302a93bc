"""The public surface of the package as data, to compare with the one that users rely on."""
