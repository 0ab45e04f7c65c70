"""Model versions: what images are generated with."""
