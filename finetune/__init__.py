"""Losses, trainers, the reward model and evaluation metrics. Knows no Django."""
