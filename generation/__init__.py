"""Diffusion pipelines, rendering and the GPU worker. Knows no Django."""
