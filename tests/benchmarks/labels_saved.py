"""Labels saved at equal accuracy, on simulated votes: by adaptive overlap, and by active selection of model pairs.

    python -m tests.benchmarks.labels_saved --json labels.json

Adaptive overlap (`annotation.stopping`) against a fixed number of annotators: how many votes an item takes, and how
many a fixed number would need for as many right verdicts (`preferences.aggregate` says what an item's verdict is).
Active selection (`annotation.selection`) against uniform draws: how many votes a leaderboard (`preferences.davidson`)
takes, and how many uniform ones would need for as many pairs of models in the right order. Then the same leaderboards'
bias, with and without weights for how likely each draw was. Intervals are 95 %, from a bootstrap over repeats.
A quarter of an hour on one CPU core.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import inf, pi, tan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from easel.annotation.selection import FIRST, UNIFORM, Matchup, chances, information_of_votes
from easel.annotation.stopping import Rule, Verdict, lead_of
from easel.preferences import davidson
from easel.preferences.aggregate import aggregate
from easel.preferences.comparisons import Comparisons

from finetune.types import Judgement

Array = npt.NDArray[np.float64]
MOST = 13
"""The largest fixed number of annotators that is tried."""
WORST, BEST = 0.65, 0.78
"""How often single annotators are right about two images: with others in ImageReward, and in HPDv2."""
BETWEEN_FITS = 20
"""Votes that come in between two rounds of `easel.evaluation.select`."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Saved:
    """What a way of asking saves, against another, at equal accuracy."""

    what: str
    accuracy: float
    votes: float
    needed: float
    """By the other way, for the same accuracy."""
    saved: float
    low: float
    high: float

    def line(self) -> str:
        """Return it as a line of the table."""
        share = f"{100 * self.saved:.0f} % ({100 * self.low:.0f} to {100 * self.high:.0f})"
        return f"| {self.what} | {100 * self.accuracy:.1f} % | {self.votes:.2f} | {self.needed:.2f} | {share} |"


# Overlap ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crowd:
    """Items and those who rank them: what each annotator would answer, asked one after the other."""

    name: str
    images: int
    accuracy: float | None = None
    """Of everybody about everything; None: people differ between WORST and BEST, and items in how close they are."""
    ties: float = 0.0
    """Images closer than this many of the annotator's standard errors share a place."""

    def verdicts(self, generator: np.random.Generator) -> list[tuple[tuple[int, ...], ...]]:
        """Return what MOST annotators say of one item, whose images are in the right order 0, 1, 2 ..."""
        if self.accuracy is not None:
            right = generator.random(MOST) < self.accuracy
            return [((0,), (1,)) if one else ((1,), (0,)) for one in right]
        quality = -np.sort(-generator.normal(size=self.images))
        said = []
        for accuracy in generator.uniform(WORST, BEST, size=MOST):
            # Of two images, normal in quality, who errs by a normal of this width is right so often.
            error = 1 / tan(pi * (accuracy - 0.5))
            seen = quality + generator.normal(0, error, size=self.images)
            groups: list[tuple[int, ...]] = []
            last = inf
            for image in np.argsort(-seen).tolist():
                if groups and last - seen[image] < self.ties * error:
                    groups[-1] = (*groups[-1], image)
                else:
                    groups.append((image,))
                last = seen[image]
            said.append(tuple(groups))
        return said


CROWDS = (
    Crowd("pairs, everybody right in 70 %, no ties", 2, accuracy=0.7),
    Crowd("pairs, people right in 65 to 78 %, ties", 2, ties=0.2),
    Crowd("grids of 4, people right in 65 to 78 %, ties", 4, ties=0.2),
)
RULES = (Rule(2, 2, 5), Rule(3, 3, 9))


def rightness(images: int, said: Sequence[tuple[tuple[int, ...], ...]]) -> float:
    """Return the share of an item's pairs that its answers together put in the right order; equal ones count half."""
    found = aggregate(images, [Judgement(annotator=str(n), groups=one) for n, one in enumerate(said)]).strengths
    pairs = [found[a] - found[b] for a, b in combinations(range(images), 2)]
    return sum(1.0 if one > 1e-9 else 0.5 if one > -1e-9 else 0.0 for one in pairs) / len(pairs)


def asked(rule: Rule, said: Sequence[tuple[tuple[int, ...], ...]]) -> int:
    """Return how many of the answers a rule takes before it has enough, each as soon as it is there."""
    votes = 0
    lead = 0.0
    while votes < rule.wants(votes, lead):
        votes += 1
        lead = lead_of(Verdict([[str(image) for image in group] for group in one]) for one in said[:votes])
    return votes


def overlap(crowd: Crowd, repeats: int, items: int, rules: Sequence[Rule] = RULES) -> list[Saved]:
    """Compare rules with fixed numbers on the same items and answers."""
    fixed = np.zeros((repeats, MOST + 1))
    votes = np.zeros((len(rules), repeats))
    right = np.zeros((len(rules), repeats))
    for repeat in range(repeats):
        generator = np.random.default_rng([repeat, crowd.images])
        for _ in range(items):
            said = crowd.verdicts(generator)
            by_count = [rightness(crowd.images, said[:count]) for count in range(MOST + 1)]
            fixed[repeat] += by_count
            for number, rule in enumerate(rules):
                count = asked(rule, said)
                votes[number, repeat] += count
                right[number, repeat] += by_count[count]
    return [
        _saved(
            f"{crowd.name}: start {rule.start}, lead {rule.lead}, cap {rule.cap}",
            np.arange(MOST + 1, dtype=float),
            fixed / items,
            right[number] / items,
            votes[number] / items,
        )
        for number, rule in enumerate(rules)
    ]


# Selection --------------------------------------------------------------------------------------------------------

Policy = Callable[["Board"], Array]


@dataclass
class Board:
    """A leaderboard in the making."""

    wins: Array
    ties: Array
    believed: davidson.Davidson

    @property
    def votes(self) -> Array:
        """How many each two models have."""
        return self.wins + self.wins.T + self.ties


def uniform(board: Board) -> Array:
    """Draw every two models alike."""
    pairs = len(board.wins) * (len(board.wins) - 1) // 2
    return np.full(pairs, 1 / pairs)


def active(board: Board) -> Array:
    """Draw as the product does."""
    matchups = [Matchup(pair, left=1_000) for pair in combinations(range(len(board.wins)), 2)]
    found = chances(matchups, board.believed.log_worths, board.believed.nu, board.votes)
    return np.array([one.probability for one in found])


def arena(board: Board) -> Array:
    """Draw by how much one more vote narrows each pair's own interval (Chiang et al. 2024, section 5)."""
    pairs = np.triu_indices(len(board.wins), 1)
    count = np.maximum(board.votes[pairs], 1)
    spread = np.sqrt(information_of_votes(board.believed.log_worths, board.believed.nu)[pairs])
    told = spread * (1 / np.sqrt(count) - 1 / np.sqrt(count + 1))
    fresh = (board.votes[pairs] < FIRST).astype(float)
    wanted = fresh if fresh.any() else told
    return np.asarray(UNIFORM / len(count) + (1 - UNIFORM) * wanted / wanted.sum())


POLICIES: dict[str, Policy] = {"active": active, "arena": arena}


@dataclass(frozen=True)
class World:
    """Models, and how people vote on them."""

    models: int
    spread: float = 0.8
    """Standard deviation of the log worths: two models are apart by 1.1 or so, 75 to 25 without ties."""
    prompts: float = 0.8
    """Standard deviation of what a prompt adds to a difference."""
    cycles: float = 0.0
    """Standard deviation of what two models add to theirs, so that strengths alone do not tell who wins."""
    keenness: float = 0.4
    """How much better than others some see differences: strengths count by 1 less or more this, at most."""
    nu: float = 0.7

    def truth(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Return log worths, and what is added for each two."""
        worths = generator.normal(0, self.spread, self.models)
        added = np.triu(generator.normal(0, self.cycles, (self.models, self.models)), 1)
        return worths - worths.mean(), added - added.T

    def vote(self, apart: float, generator: np.random.Generator) -> float:
        """Return one person's vote on one prompt: 1, 0.5 or 0."""
        keen = generator.uniform(1 - self.keenness, 1 + self.keenness)
        half = (apart + generator.normal(0, self.prompts)) * keen / 2
        up, down = np.exp(half), np.exp(-half)
        chance = generator.random() * (up + down + self.nu)
        return 1.0 if chance < up else 0.0 if chance < up + down else 0.5


@dataclass(frozen=True)
class Course:
    """How a leaderboard went: at each mark, the share of pairs of models out of order, and the error of strengths."""

    marks: Array
    disordered: Array
    error: Array


def collect(
    world: World, policy: Policy, votes: int, every: int, seed: int, between: int = BETWEEN_FITS
) -> tuple[Course, Board, Array]:
    """Vote by a policy; return the course, the last board, and what each pair's draws would weigh, summed: as `wins`
    and `ties`, each vote by the inverse of how likely it was."""
    worths, added = world.truth(np.random.default_rng([seed, world.models]))
    generator = np.random.default_rng([seed, world.models, 1])
    size = world.models
    first, second = np.triu_indices(size, 1)
    board = Board(np.zeros((size, size)), np.zeros((size, size)), davidson.fit(_nothing(size)))
    weighed = np.zeros((2, size, size))
    marks, disordered, error = [], [], []
    for done in range(0, votes, between):
        probability = policy(board)
        for pair in generator.choice(len(first), size=between, p=probability):
            i, j = first[pair], second[pair]
            score = world.vote(worths[i] - worths[j] + added[i, j], generator)
            weight = 1 / (len(first) * probability[pair])
            if score == 0.5:
                for a, b in ((i, j), (j, i)):
                    board.ties[a, b] += 1
                    weighed[1, a, b] += weight
            else:
                a, b = (i, j) if score else (j, i)
                board.wins[a, b] += 1
                weighed[0, a, b] += weight
        is_mark = (done + between) % every == 0
        if policy is not uniform or is_mark:
            board.believed = davidson.fit(Comparisons(board.wins, board.ties))
        if is_mark:
            found = np.array(board.believed.log_worths)
            marks.append(done + between)
            disordered.append(np.mean((found[first] > found[second]) != (worths[first] > worths[second])))
            error.append(np.abs(found - worths).mean())
    return Course(np.array(marks, float), np.array(disordered), np.array(error)), board, weighed


def _nothing(size: int) -> Comparisons:
    return Comparisons(np.zeros((size, size)), np.zeros((size, size)))


def selection(world: World, votes: int, repeats: int, every: int = 100) -> dict[str, list[Saved]]:
    """Compare policies with uniform draws over the same models: by the order of models, and by their strengths' error.

    Accuracies are read off smoothed courses: the logarithm of what is wrong as a parabola in that of the votes.
    """
    base = [collect(world, uniform, 2 * votes, every, seed, between=every)[0] for seed in range(repeats)]
    found: dict[str, list[Saved]] = {"order": [], "strengths": []}
    for name, policy in POLICIES.items():
        courses = [collect(world, policy, votes, every, seed)[0] for seed in range(repeats)]
        for mark in (votes // 2, votes):
            what = f"{world.models} models, {name}"
            for measure, field in (("order", "disordered"), ("strengths", "error")):
                ours, theirs = (np.array([getattr(one, field) for one in some]) for some in (courses, base))
                found[measure].append(_saved_of_courses(what, base[0].marks, theirs, ours, float(mark)))
    return found


def _saved_of_courses(what: str, marks: Array, base: Array, ours: Array, votes: float) -> Saved:
    """Return what is saved at so many votes. base, ours: (repeats, marks), what is wrong; ours may end earlier."""

    def smooth(curves: Array) -> Array:
        known = marks[: curves.shape[1]]
        late = known >= votes / 4
        return np.polyfit(np.log(known[late]), np.log(np.maximum(curves.mean(axis=0)[late], 1e-6)), 2)

    def needed(base: Array, wrong: float) -> float:
        reach = np.exp(np.linspace(np.log(votes / 4), np.log(4 * marks[-1]), 2_000))
        curve = np.minimum.accumulate(np.polyval(smooth(base), np.log(reach)))
        return float(np.interp(-np.log(wrong), -curve, reach))

    def wrong(ours: Array) -> float:
        return float(np.exp(np.polyval(smooth(ours), np.log(votes))))

    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        rows = generator.integers(len(base), size=len(base))
        drawn.append(1 - votes / needed(base[rows], wrong(ours[rows])))
    low, high = np.quantile(drawn, [0.025, 0.975])
    whole = needed(base, wrong(ours))
    return Saved(what, 1 - wrong(ours), votes, whole, 1 - votes / whole, float(low), float(high))


# Bias -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bias:
    """How far leaderboards are off, on average and each by itself."""

    what: str
    bias: float
    """Root mean square over models of the mean error; what chance alone makes of it is taken off."""
    error: float
    """Root mean square error of one leaderboard."""


def bias(world: World, votes: int, repeats: int) -> list[Bias]:
    """Vote again and again on the same models; compare the boards with what uniform draws end in."""
    worths, added = world.truth(np.random.default_rng([7, world.models]))

    class Same(World):
        def truth(self, generator: np.random.Generator) -> tuple[Array, Array]:
            return worths, added

    same = Same(**asdict(world))
    limit = _limit(same, worths, added)
    boards: dict[str, list[Array]] = {}
    for seed in range(repeats):
        _, board, _ = collect(same, uniform, votes, votes, seed, between=votes)
        boards.setdefault("uniform", []).append(np.array(board.believed.log_worths))
        _, board, weighed = collect(same, active, votes, votes, seed)
        boards.setdefault("active, as it is", []).append(np.array(board.believed.log_worths))
        corrected = davidson.fit(Comparisons(weighed[0], weighed[1]))
        boards.setdefault("active, weighed by the inverse probability", []).append(np.array(corrected.log_worths))
    found = []
    for name, some in boards.items():
        off = np.array(some) - limit
        chance = off.var(axis=0, ddof=1).sum() / repeats
        square = max(0.0, float((off.mean(axis=0) ** 2).sum() - chance)) / world.models
        found.append(Bias(name, square**0.5, float(np.sqrt((off**2).mean()))))
    return found


def _limit(world: World, worths: Array, added: Array, votes: int = 4_000) -> Array:
    """Return the strengths that uniform draws end in, from very many votes on each two models."""
    generator = np.random.default_rng(11)
    apart = (worths[:, None] - worths[None, :] + added)[..., None] + generator.normal(
        0, world.prompts, (world.models, world.models, votes)
    )
    half = apart * generator.uniform(1 - world.keenness, 1 + world.keenness, votes) / 2
    up, down = np.exp(half), np.exp(-half)
    total = up + down + world.nu
    wins = np.triu((up / total).mean(-1), 1) + np.triu((down / total).mean(-1), 1).T
    ties = np.triu((world.nu / total).mean(-1), 1)
    return np.array(davidson.fit(Comparisons(wins * votes, (ties + ties.T) * votes)).log_worths)


# Together ---------------------------------------------------------------------------------------------------------


def _saved(what: str, counts: Array, curves: Array, right: Array, votes: Array) -> Saved:
    """Return what is saved: votes (repeats,) reached `right` (repeats,), where curves (repeats, n) tell the other's
    accuracy at `counts` (n,)."""
    whole = _needed(counts, curves.mean(axis=0), right.mean())
    generator = np.random.default_rng(0)
    repeats = len(votes)
    drawn = []
    for _ in range(RESAMPLES):
        rows = generator.integers(repeats, size=repeats)
        drawn.append(1 - votes[rows].mean() / _needed(counts, curves[rows].mean(axis=0), right[rows].mean()))
    low, high = np.quantile(drawn, [0.025, 0.975])
    spent = float(votes.mean())
    return Saved(what, float(right.mean()), spent, whole, 1 - spent / whole, float(low), float(high))


def _needed(counts: Array, curve: Array, accuracy: float) -> float:
    """Return the votes at which a curve reaches an accuracy; between its points, and where two of them make a mixture
    that is better than what lies between them, along its concave hull. The other way gets the better of the doubt."""
    hull: list[int] = []
    for place in range(len(counts)):
        while len(hull) > 1:
            a, b = hull[-2:]
            cross = (counts[b] - counts[a]) * (curve[place] - curve[a]) - (counts[place] - counts[a]) * (
                curve[b] - curve[a]
            )
            if cross < 0:
                break
            hull.pop()
        hull.append(place)
    rising = [place for n, place in enumerate(hull) if n == 0 or curve[place] > curve[hull[n - 1]]]
    return float(np.interp(accuracy, curve[rising], counts[rising]))


WORLDS = {
    "strengths tell all": World(8, prompts=0.0, keenness=0.0),
    "people and prompts differ": World(8),
    "models beat each other in circles": World(8, cycles=0.4),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("overlap", "selection", "bias"))
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--items", type=int, default=100, help="of each repeat of adaptive overlap")
    parser.add_argument("--models", type=int, nargs="+", default=[8])
    parser.add_argument("--votes-each", type=int, default=50, help="on each two models, on average")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"repeats": options.repeats}
    head = "accuracy | votes | needed otherwise | saved |\n|---|---|---|---|---|"
    if options.only in (None, "overlap"):
        print(f"| adaptive overlap | {head}")
        figures["overlap"] = []
        for crowd in CROWDS:
            for one in overlap(crowd, options.repeats, options.items):
                print(one.line(), flush=True)
                figures["overlap"].append(asdict(one))
    if options.only in (None, "selection"):
        figures["selection"] = {}
        for models in options.models:
            votes = models * (models - 1) // 2 * options.votes_each // 200 * 200
            for name, of in selection(World(models), votes, options.repeats).items():
                print(f"\n| selection, by {name} | {head}")
                for one in of:
                    print(one.line(), flush=True)
                figures["selection"].setdefault(name, []).extend(asdict(one) for one in of)
    if options.only in (None, "bias"):
        print("\n| leaderboard | bias | error |\n|---|---|---|")
        figures["bias"] = []
        for name, world in WORLDS.items():
            for off in bias(world, 1_400, options.repeats):
                print(f"| {name}: {off.what} | {off.bias:.3f} | {off.error:.3f} |", flush=True)
                figures["bias"].append({"world": name, **asdict(off)})
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
