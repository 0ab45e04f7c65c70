"""Items whose right answer is known, and items shown twice: they measure annotators, and are never collected."""
