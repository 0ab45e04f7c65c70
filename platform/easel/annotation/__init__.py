"""Items, assignments, annotations, and the ranking page."""
