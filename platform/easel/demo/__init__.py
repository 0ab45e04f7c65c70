"""The demo project that a fresh installation starts with."""
