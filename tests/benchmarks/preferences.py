"""The maths of preferences at size: our Davidson fit against evalica's Newman, and 100,000 rankings weighed.

    python -m tests.benchmarks.preferences

Both fits answer the same question (Newman's model is Davidson's, his v half of nu) from the same lists of votes,
counting included, run in turn within one process, and must give the same strengths; the median of the rounds' ratios
counts. Newman's is asked for the precision that ours has, and, in a row of its own, for what it gives by default.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import evalica
import numpy as np
from easel.preferences import agreement, davidson, reliability
from easel.preferences.aggregate import aggregate
from easel.preferences.comparisons import Comparisons

from finetune.types import Judgement

WINNERS = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--rankings", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "fit": fits(options.models, options.votes, options.rounds),
        "rankings": rankings(options.rankings),
    }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def fits(models: int, votes: int, rounds: int) -> dict[str, Any]:
    """Fit the same votes by each, in turn."""
    generator = np.random.default_rng(0)
    worths = generator.normal(size=models)
    first = generator.integers(models, size=votes)
    second = (first + generator.integers(1, models, size=votes)) % models
    half = (worths[first] - worths[second]) / 2
    chance = generator.random(votes) * (np.exp(half) + np.exp(-half) + 0.7)
    scores = np.where(chance < np.exp(half), 1.0, np.where(chance < np.exp(half) + 0.7, 0.5, 0.0)).tolist()
    a, b, winners = first.tolist(), second.tolist(), [WINNERS[score] for score in scores]
    found: dict[str, Any] = {}

    def ours() -> None:
        votes_of = Comparisons.of_votes(models, a, b, scores)
        found["ours"] = davidson.fit(votes_of, prior_sd=np.inf, tie_prior_sd=np.inf)

    def theirs() -> None:
        found["theirs"] = evalica.newman(a, b, winners, tolerance=1e-9, limit=10_000)

    def by_default() -> None:
        found["by_default"] = evalica.newman(a, b, winners)

    seconds: dict[str, list[float]] = {}
    for turn in range(rounds):
        for run in [ours, theirs, by_default][:: 1 if turn % 2 else -1]:
            seconds.setdefault(run.__name__, []).append(_cpu(run))
    log_scores = np.log(found["theirs"].scores.sort_index().to_numpy())
    apart = np.abs(log_scores - log_scores.mean() - found["ours"].log_worths).max()
    assert apart < 1e-4, f"the two fits differ by {apart}"
    return {
        "models": models,
        "votes": votes,
        "cpu_ms": {name: round(1000 * statistics.median(some), 1) for name, some in seconds.items()},
        "ratio": _ratio(seconds["ours"], seconds["theirs"]),
        "ratio_to_the_default_precision": _ratio(seconds["ours"], seconds["by_default"]),
        "largest_difference_of_a_log_worth": float(apart),
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(ours, theirs, strict=True)), 3)


def rankings(count: int) -> dict[str, Any]:
    """Weigh rankings of four images by three of twenty people each, with all that is reported of them."""
    items = list(_items(count // 3))
    return {
        "rankings": 3 * len(items),
        "cpu_s": {
            "aggregate": round(_cpu(lambda: [aggregate(4, item) for item in items]), 2),
            "reliability": round(_cpu(lambda: reliability.fit(items)), 2),
            "agreement with 1000 resamples": round(_cpu(lambda: agreement.measure(items)), 2),
        },
    }


def _items(count: int) -> Iterator[list[Judgement]]:
    generator = np.random.default_rng(1)
    for _ in range(count):
        strengths = generator.normal(size=4)
        people = generator.choice(20, size=3, replace=False)
        orders = np.argsort(-(strengths + generator.gumbel(size=(3, 4))), axis=1).tolist()
        yield [
            Judgement(annotator=f"person-{person}", groups=tuple((image,) for image in order))
            for person, order in zip(people, orders, strict=True)
        ]


def _cpu(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
