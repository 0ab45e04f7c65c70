"""Published data, and real votes where they lie beside the repository."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from easel.env import REPOSITORY
from easel.preferences.comparisons import Comparisons

VOTES = REPOSITORY.parent / "shared" / "data" / "preferences"

needs_votes = pytest.mark.skipif(not VOTES.is_dir(), reason="shared/data/preferences is not beside the repository")

# R. R. Davidson (1970), table 2, as in the R package PlackettLuce: brands i and j of chocolate pudding, how many people
# preferred i, preferred j, and neither.
PUDDING = (
    (1, 2, 19, 22, 16), (1, 3, 16, 19, 12), (2, 3, 19, 19, 10), (1, 4, 18, 23, 13), (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15), (1, 5, 13, 19, 18), (2, 5, 16, 20, 12), (3, 5, 16, 15, 17), (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12), (2, 6, 22, 20, 12), (3, 6, 13, 18, 10), (4, 6, 14, 19, 18), (5, 6, 11, 21, 12),
)  # fmt: skip
PUDDING_WORTHS = (0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024)
PUDDING_NU = 0.7468


def pudding() -> Comparisons:
    """Return the votes on pudding."""
    wins, ties = np.zeros((6, 6)), np.zeros((6, 6))
    for i, j, first, second, neither in PUDDING:
        wins[i - 1, j - 1], wins[j - 1, i - 1] = first, second
        ties[i - 1, j - 1] = ties[j - 1, i - 1] = neither
    return Comparisons(wins, ties)


def arena(split: str) -> tuple[Comparisons, list[float]]:
    """Return the decisive votes of GenAI-Arena between text-to-image models, and the ratings that it published."""
    published: dict[str, Any] = json.loads(
        (VOTES / "genai_arena" / "t2i_generation_published_ratings_20240220.json").read_text()
    )[split]["mle"]
    names = list(published)
    wins = np.zeros((len(names), len(names)))
    with (VOTES / "genai_arena" / "t2i_generation_pair_counts_20240220.csv").open() as file:
        for row in csv.DictReader(file):
            if row["split"] == split:
                a, b = names.index(row["model_a"]), names.index(row["model_b"])
                wins[a, b], wins[b, a] = int(row["a_wins"]), int(row["b_wins"])
    return Comparisons(wins, np.zeros_like(wins)), list(published.values())


def two_raters() -> list[list[int]]:
    """Return TIFA's scores of images by two people, 1 to 5."""
    rows: dict[str, Any] = json.loads((VOTES / "tifa160_two_raters.json").read_text())
    return [row["human_scores"] for row in rows.values() if len(row["human_scores"]) == 2]


def image_reward() -> list[tuple[int, tuple[tuple[int, ...], ...]]]:
    """Return ImageReward's rankings with ties: how many images, and their groups."""
    found = []
    for row in json.loads(Path(VOTES / "imagereward_test_first233.json").read_text()):
        ranks: list[int] = row["ranking"]
        groups = tuple(
            tuple(image for image, rank in enumerate(ranks) if rank == place) for place in sorted(set(ranks))
        )
        found.append((len(ranks), groups))
    return found
