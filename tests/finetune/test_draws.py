"""What is random in a run depends on its seed and step alone."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from finetune import draws


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 5))
def test_every_example_is_seen_equally_often(examples: int, size: int, seed: int) -> None:
    seen = [number for step in range(examples) for number in draws.batch(examples, size, seed, step)]
    assert len(seen) == examples * size
    assert all(seen.count(number) == size for number in range(examples))


def test_each_round_through_the_examples_has_an_order_of_its_own() -> None:
    rounds = {tuple(draws.batch(50, 50, 0, step)) for step in range(4)}
    assert len(rounds) == 4
    assert draws.batch(50, 50, 0, 3) == draws.batch(50, 50, 0, 3) != draws.batch(50, 50, 1, 3)


def test_a_place_in_a_run_has_noise_of_its_own() -> None:
    shape = torch.Size([4, 8, 8])
    drawn = [
        draws.noise(shape, draws.generator(*place))
        for place in ((0, "pair", 1, 2), (0, "pair", 2, 1), (1, "pair", 1, 2))
    ]
    again = draws.noise(shape, draws.generator(0, "pair", 1, 2))
    assert torch.equal(drawn[0], again)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
