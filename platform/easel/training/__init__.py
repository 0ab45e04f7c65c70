"""Fine-tunes: asked for here, trained by a worker, and made model versions of."""
