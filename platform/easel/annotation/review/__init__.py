"""Second opinions: a reviewer accepts, returns or fixes what an annotator said, and decides where annotators disagree."""
