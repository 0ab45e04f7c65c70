"""Easel: human rankings of generated images, and the fine-tuning that learns from them."""
