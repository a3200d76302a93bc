"""The pages in docs/: what the code says of itself is written into them, between the words of a person."""
