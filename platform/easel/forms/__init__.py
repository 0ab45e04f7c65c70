"""Templates: the component schema, validation of definitions and of answers."""
