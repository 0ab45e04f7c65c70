"""What simulated annotators like, and how they err. Pure maths.

A taste gives each image a utility from what the judge `taste` measured of it. Images whose utilities differ by less
than `ties` share a place. Then the ranking is disturbed: `noise` is the share of decided pairs (those on different
places) that come out the wrong way round, on average, however many images there are. 0 never errs, 0.5 knows nothing.

The disturbance is a Mallows model on rankings with ties (Mallows 1957; the multiset form follows from MacMahon's
inversion statistic): a ranking with d wrong pairs has a probability proportional to phi ** d. So near mistakes are more
likely than far ones, as with people, and each ranking is one that a person could give: it has no circles, which pairs
that are flipped one by one would make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

STYLES = ("3d", "flat", "silhouette", "cartoon", "pixel art")
"""The built-in model's; see generation.builtin."""
MAX_NOISE = 0.5
FIDELITY = 0.25
"""What a right subject is worth beside a taste: whoever likes 3d icons still wants the icon of an apple to be one."""


@dataclass(frozen=True)
class Taste:
    """Something that a simulated annotator likes."""

    name: str
    words: str
    """As in "they prefer ..."."""
    measure: str
    """Which of the judge's values it is."""
    scale: float = 1.0
    """Brings the value to about 0..1."""
    likes: str = ""
    """As short words for tables."""

    def utility(self, values: Mapping[str, float]) -> float:
        """Return how much it likes an image, about 0..1.25, by what the judge measured (finetune.types.ImageScore).

        Where the prompt names no subject, all images are right in it.
        """
        liked = values.get(self.measure, 0.0) * self.scale
        return liked if self.measure == "subject" else liked + FIDELITY * values.get("subject", 1.0)


CARELESS = "careless"
TASTES: dict[str, Taste] = {
    taste.name: taste
    for taste in (
        *(Taste(style, f"{style} icons", f"is_{style.replace(' ', '_')}", likes=style) for style in STYLES),
        Taste("warm", "warm colours", "warmth", likes="warm colours"),
        Taste("coloured background", "coloured backgrounds", "coloured_background", likes="coloured backgrounds"),
        Taste("subject", "images that show what the prompt names", "subject", likes="the right subject"),
        Taste(CARELESS, "nothing: they rank at random", "", likes="nothing, at random"),
    )
}


def places(utilities: Sequence[float], ties: float) -> list[list[int]]:
    """Group images by utility, best first: one shares a place with the best of it where less than `ties` is between.

    Utilities that are equal always share a place.
    """
    order = sorted(range(len(utilities)), key=lambda image: -utilities[image])
    groups: list[list[int]] = []
    for image in order:
        best = utilities[groups[-1][0]] if groups else 0.0
        if groups and (best == utilities[image] or best - utilities[image] < ties):
            groups[-1].append(image)
        else:
            groups.append([image])
    return groups


def disturbed(groups: Sequence[Sequence[int]], noise: float, chance: Random) -> list[list[int]]:
    """Return the ranking as somebody gives it who gets the share `noise` of the decided pairs wrong, on average.

    groups: the true places, best first. Images of one place stay together unless a mistake comes between them.
    """
    phi = dispersion(tuple(len(group) for group in groups), noise)
    left = [chance.sample(list(group), len(group)) for group in groups]
    given: list[list[int]] = []
    last = -1
    for total in range(sum(len(group) for group in left), 0, -1):
        place = _draw(left, total, phi, chance)
        image = left[place].pop()
        if place == last:
            given[-1].append(image)
        else:
            given.append([image])
        last = place
    return given


def _draw(left: Sequence[Sequence[int]], total: int, phi: float, chance: Random) -> int:
    """Draw which place the next image comes from: place g with probability phi ** better * [n_g] / [n].

    [m] = 1 + phi + ... + phi ** (m - 1), and `better` counts the images of better places that are still to come: each
    of them will stand behind the one that is drawn, which is a wrong pair.
    """
    at = chance.random() * _sum_of_powers(phi, total)
    better = 0
    for place, images in enumerate(left):
        at -= phi**better * _sum_of_powers(phi, len(images))
        if images and at < 0:
            return place
        better += len(images)
    return max(place for place, images in enumerate(left) if images)  # rounding: the last that is left


def _sum_of_powers(phi: float, count: int) -> float:
    return sum(phi**power for power in range(count))


def wrong_share(sizes: Sequence[int], phi: float) -> float:
    """Return the expected share of decided pairs that come out wrong, for places of these sizes."""
    images = sum(sizes)
    decided = _pairs(images) - sum(_pairs(size) for size in sizes)
    if not decided:
        return 0.0
    return (_wrong(images, phi) - sum(_wrong(size, phi) for size in sizes)) / decided


def _pairs(images: int) -> float:
    return images * (images - 1) / 2


def _wrong(images: int, phi: float) -> float:
    """Expected inversions of a Mallows permutation: sum over j of (sum of i phi^i, i < j) / (sum of phi^i, i < j)."""
    return sum(
        sum(power * phi**power for power in range(count)) / _sum_of_powers(phi, count) for count in range(1, images + 1)
    )


@lru_cache(maxsize=1_024)
def dispersion(sizes: tuple[int, ...], noise: float) -> float:
    """Return phi for which the expected share of wrong pairs is `noise`, 0..0.5, by bisection. 0: never; 1: at random.

    Without a decided pair any phi will do: 1. Raises ValueError for a noise that is no such share.
    """
    if not 0 <= noise <= MAX_NOISE:
        raise ValueError(f"noise is a share from 0 to {MAX_NOISE}, not {noise}")
    if len(sizes) < 2 or noise == MAX_NOISE:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if wrong_share(sizes, middle) < noise else (low, middle)
    return (low + high) / 2


def ranking(
    scores: Sequence[Mapping[str, float]],
    taste: str,
    noise: float,
    ties: float,
    chance: Random,
    levels: int | None = None,
) -> list[list[int]]:
    """Rank images by their places 0.., best first, as an annotator of that taste does.

    scores: what the judge measured of each. levels: at most so many places, where the form says so; the worst then
    share the last one.
    """
    if taste == CARELESS:
        given = [[image] for image in chance.sample(range(len(scores)), len(scores))]
    else:
        liked = TASTES[taste]
        given = disturbed(places([liked.utility(one) for one in scores], ties), noise, chance)
    if levels is not None and len(given) > levels:
        given = [*given[: levels - 1], [image for group in given[levels - 1 :] for image in group]]
    return given
