"""Measurements, started by hand: each prints figures and takes --json FILE."""
