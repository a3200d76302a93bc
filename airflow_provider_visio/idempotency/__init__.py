"""Create a resource once, also when a task fails, is retried or is killed."""
