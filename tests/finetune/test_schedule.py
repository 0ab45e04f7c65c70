"""The learning rate over a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.schedule import learning_rate
from finetune.types import TrainSettings

RUN = TrainSettings(steps=100, learning_rate=1e-3, warmup_steps=10, decay=0.5)


def test_it_rises_stays_and_falls_to_nothing() -> None:
    rates = [learning_rate(RUN, step) for step in range(100)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9:51] == pytest.approx([1e-3] * 42)
    assert rates[75] == pytest.approx(5e-4)
    assert 0 < rates[99] < 1e-6
    assert rates[50:] == sorted(rates[50:], reverse=True)


def test_without_warm_up_and_decay_it_is_the_same_at_every_step() -> None:
    flat = RUN.model_copy(update={"warmup_steps": 0, "decay": 0.0})
    assert {learning_rate(flat, step) for step in range(100)} == {1e-3}


@given(steps=st.integers(1, 500), warmup=st.integers(0, 100), decay=st.floats(0, 1), step=st.integers(0, 499))
def test_it_is_never_above_what_was_asked_for_nor_negative(steps: int, warmup: int, decay: float, step: int) -> None:
    said = TrainSettings(steps=steps, learning_rate=0.5, warmup_steps=warmup, decay=decay)
    assert 0 <= learning_rate(said, min(step, steps - 1)) <= 0.5
