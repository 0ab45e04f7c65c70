"""Generation requests and candidates."""
