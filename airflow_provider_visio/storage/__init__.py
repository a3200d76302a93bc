"""Store files in an object store: destination, media types, transfer."""
