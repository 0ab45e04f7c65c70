"""Two judges of the built-in model's pictures: see README.md here and docs/explanation/judges.md."""
