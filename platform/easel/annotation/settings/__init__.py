"""A project's settings: how items are given out, how annotators are measured, what it costs."""
