"""Generate the reference parts of the pages in docs/ from the code. The other parts are handwritten."""
