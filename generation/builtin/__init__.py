"""The built-in model: a small text-to-icon pipeline that ships with Easel, and the recipe that made it."""
