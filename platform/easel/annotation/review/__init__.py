"""Second opinions: reviewers accept, return or fix what annotators said, and decide where they disagree."""
