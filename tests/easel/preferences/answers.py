"""Made-up answers: what hypothesis draws, and what simulated people say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from hypothesis import settings
from hypothesis import strategies as st

from finetune.types import Judgement

Groups: TypeAlias = tuple[tuple[int, ...], ...]

drawn = settings(max_examples=25, deadline=None)
few = settings(max_examples=10, deadline=None)  # for the slow optimisers that ours are held against
weights = st.floats(min_value=0.05, max_value=1.0)


@st.composite
def groups(draw: st.DrawFn, images: int, *, partial: bool = True) -> Groups:
    """Draw a ranking with ties; with `partial`, some images may be left out."""
    order = draw(st.permutations(range(images)))
    if partial:
        order = order[: draw(st.integers(0, images))]
    cuts = draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order)))
    found: list[tuple[int, ...]] = []
    for image, cut in zip(order, cuts, strict=True):
        if cut or not found:
            found.append((image,))
        else:
            found[-1] = (*found[-1], image)
    return tuple(found)


@st.composite
def items(draw: st.DrawFn, *, most: int = 5) -> tuple[int, list[Judgement]]:
    """Draw how many images an item has, and up to five judgements of it."""
    images = draw(st.integers(2, most))
    rows = draw(st.lists(st.tuples(groups(images), weights, st.booleans()), max_size=5))
    return images, [
        Judgement(annotator=f"person-{number}", groups=ranking, weight=weight, all_bad=bad and number % 3 == 0)
        for number, (ranking, weight, bad) in enumerate(rows)
    ]


def judged(
    *rankings: Groups, weight: float = 1.0, all_bad: bool = False, ties_are_equal: bool = True
) -> list[Judgement]:
    """Return one judgement a ranking, each by somebody else."""
    said: dict[str, Any] = {"weight": weight, "all_bad": all_bad, "ties_are_equal": ties_are_equal}
    return [Judgement(annotator=f"person-{number}", groups=ranking, **said) for number, ranking in enumerate(rankings)]


def relabelled(judgements: Sequence[Judgement], places: Sequence[int]) -> list[Judgement]:
    """Return the judgements with image i called places[i]."""
    return [
        one.model_copy(update={"groups": tuple(tuple(places[image] for image in group) for group in one.groups)})
        for one in judgements
    ]


def upside_down(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return the judgements with the worst first."""
    return [one.model_copy(update={"groups": one.groups[::-1]}) for one in judgements]
