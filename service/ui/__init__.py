"""The pages: what a browser sees of the same functions that answer REST calls."""
