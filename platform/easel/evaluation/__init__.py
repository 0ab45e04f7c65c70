"""Is the new model better? Blind rounds, simulated annotators, scores, the leaderboard, and the loop as a whole."""
