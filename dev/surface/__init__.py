"""Read the public surface of the package, and compare it with the recorded one."""
