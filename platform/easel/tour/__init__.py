"""The whole loop without a browser, on the built-in model: `easel tour`."""
