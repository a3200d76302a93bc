"""Create a resource once, whatever happens to the task between two tries."""
