"""What listwise fine-tuning learns from judgements: their order, and no ties that nobody gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.listwise import rankings_of
from finetune.types import Preference
from generation.storage import Storage
from tests.finetune.snapshots import preference


def judged(tmp_path: Path, *, ties_are_equal: bool, weight: float = 1.0) -> Preference:
    """Return a row with one judgement: a best, two between, a worst."""
    row = preference(Storage((tmp_path / "storage").as_uri()), 1, [((2,), (0, 3), (1,))])
    (said,) = row.judgements
    update = {"ties_are_equal": ties_are_equal, "weight": weight}
    return row.model_copy(update={"judgements": (said.model_copy(update=update),)})


def test_images_that_were_judged_equal_share_a_rank(tmp_path: Path) -> None:
    (found,) = rankings_of([judged(tmp_path, ties_are_equal=True)])
    assert found.ranks == ((1, 2, 0, 1),)
    assert found.weights == (1.0,)


def test_images_that_were_not_compared_stand_in_chains_of_their_own(tmp_path: Path) -> None:
    (found,) = rankings_of([judged(tmp_path, ties_are_equal=False, weight=0.5)])
    assert found.ranks == ((1, 2, 0, -1), (-1, 2, 0, 1))
    assert found.weights == pytest.approx((0.25, 0.25))
