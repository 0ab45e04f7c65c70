"""The losses against the published formulas, against each other, and against TRL's code."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from finetune import losses

torch.set_num_threads(1)
error = st.floats(min_value=0.01, max_value=3.0)
fours = st.tuples(error, error, error, error)


def _pair(values: tuple[float, float, float, float]) -> tuple[Tensor, Tensor]:
    winner, loser, winner_before, loser_before = values
    return torch.tensor([[winner], [loser]]), torch.tensor([[winner_before], [loser_before]])


@given(fours, st.floats(min_value=1, max_value=10_000))
def test_dpo_is_the_published_loss_in_both_conventions_of_beta(
    values: tuple[float, float, float, float], launcher_beta: float
) -> None:
    winner, loser, winner_before, loser_before = values
    policy = torch.tensor([[winner], [loser]], dtype=torch.float64)
    reference = torch.tensor([[winner_before], [loser_before]], dtype=torch.float64)
    # As the launcher of Wallace et al. and diffusers' research script write it.
    inside = -0.5 * launcher_beta * ((policy[0] - policy[1]) - (reference[0] - reference[1]))
    published = -torch.nn.functional.logsigmoid(inside).item()
    ours = losses.dpo(policy, reference, losses.effective_beta(launcher_beta)).item()
    assert ours == pytest.approx(published, rel=1e-5, abs=1e-9)
    # As eq. 14 has it, with beta T omega(lambda) in one.
    beta = launcher_beta / 2
    margin = -beta * ((winner - winner_before) - (loser - loser_before))
    assert ours == pytest.approx(max(0.0, -margin) + math.log1p(math.exp(-abs(margin))), rel=1e-5, abs=1e-9)


class _Says(torch.nn.Module):
    """Says the log probabilities that it was made with, as TRL's trainer expects them of a language model."""

    def __init__(self, log_probabilities: Tensor) -> None:
        super().__init__()
        self.said = log_probabilities

    def forward(self, **_: Any) -> Any:
        blank = torch.zeros_like(self.said)
        return SimpleNamespace(log_probs=self.said, entropy=blank, mean_logits=blank, is_top1=blank.bool())


def _trl(policy: Tensor, reference: Tensor, kind: str, beta: float, smoothing: float) -> float:
    """Return what TRL's DPOTrainer computes where an image's log probability is minus its error."""
    from accelerate import Accelerator
    from trl.trainer.dpo_trainer import DPOTrainer

    trainer: Any = object.__new__(DPOTrainer)
    model = _Says(-policy.flatten()[:, None]).train()
    trainer.__dict__.update(
        model=model,
        accelerator=Accelerator(cpu=True),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[kind],
        loss_weights=[1.0],
        beta=beta,
        label_smoothing=smoothing,
        use_weighting=False,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    images = 2 * policy.shape[1]
    inputs = {
        "input_ids": torch.zeros(images, 2, dtype=torch.long),
        "attention_mask": torch.ones(images, 2),
        "completion_mask": torch.tensor([[0, 1]]).expand(images, 2),
        "ref_chosen_logps": -reference[0],
        "ref_rejected_logps": -reference[1],
    }
    return float(trainer._compute_loss(model, inputs, return_outputs=False))


@pytest.mark.parametrize("kind", ["sigmoid", "hinge", "ipo", "robust"])
def test_each_kind_of_pair_loss_is_that_of_trl(kind: losses.PairLoss) -> None:
    source = torch.Generator().manual_seed(1)
    policy, reference = torch.rand(2, 16, generator=source), torch.rand(2, 16, generator=source)
    ours = losses.dpo(policy, reference, 3.0, kind=kind, smoothing=0.2)
    assert ours.mean().item() == pytest.approx(_trl(policy, reference, kind, 3.0, 0.2), rel=1e-5)


def test_the_robust_loss_is_on_average_that_of_the_true_labels() -> None:
    policy, reference = torch.tensor([[0.4], [0.7]]), torch.tensor([[0.5], [0.5]])
    flipped = losses.dpo(policy.flip(0), reference.flip(0), 5.0, kind="robust", smoothing=0.3)
    kept = losses.dpo(policy, reference, 5.0, kind="robust", smoothing=0.3)
    assert (0.7 * kept + 0.3 * flipped).item() == pytest.approx(losses.dpo(policy, reference, 5.0).item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_policy_and_reference_are_equal_the_loss_is_ln_2(dtype: torch.dtype) -> None:
    errors = torch.rand(2, 8, dtype=dtype)
    assert torch.equal(losses.dpo(errors, errors, 2500.0), torch.full((8,), math.log(2)))


@given(fours)
def test_the_gradient_lowers_the_winners_error_and_raises_the_losers(values: tuple[float, float, float, float]) -> None:
    policy, reference = _pair(values)
    policy.requires_grad_()
    losses.dpo(policy, reference, 1.0).sum().backward()  # type: ignore[no-untyped-call]
    assert policy.grad is not None
    assert policy.grad[0].item() > 0 > policy.grad[1].item()


@pytest.mark.parametrize("share", [0.5, 0.6, 0.75, 0.9])
def test_a_soft_label_is_met_best_by_its_logit(share: float) -> None:
    margins = torch.linspace(-4, 4, 8001)
    policy, reference = torch.stack([-margins, torch.zeros_like(margins)]), torch.zeros(2, 8001)
    loss = losses.dpo(policy, reference, 1.0, preferred=torch.full((8001,), share))
    assert margins[loss.argmin()].item() == pytest.approx(math.log(share / (1 - share)), abs=1e-3)


@given(fours, st.sampled_from([((0,), (1,)), ((1,), (0,)), ((0, 1),)]))
def test_plackett_luce_of_two_is_dpo_with_ties(
    values: tuple[float, float, float, float], groups: tuple[tuple[int, ...], ...]
) -> None:
    policy, reference = _pair(values)
    rewards = losses.implicit_reward(policy, reference, 4.0)
    preferred = {((0,), (1,)): 1.0, ((1,), (0,)): 0.0, ((0, 1),): 0.5}[groups]
    expected = losses.dpo(policy, reference, 4.0, preferred=torch.tensor([preferred]))
    ranked = losses.plackett_luce(rewards.T, torch.tensor([losses.ranks_of(groups, 2)]))
    assert ranked.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)


def _plackett_luce_by_loop(rewards: list[float], ranks: list[int]) -> float:
    ranked = [place for place, rank in enumerate(ranks) if rank >= 0]
    last = max((ranks[place] for place in ranked), default=0)
    size = sum(ranks[place] == last for place in ranked)
    total = 0.0
    for place in ranked:
        rivals = [math.exp(rewards[other]) for other in ranked if ranks[other] >= ranks[place]]
        share = (size - 1) / size if ranks[place] == last else 1.0
        total += share * (math.log(sum(rivals)) - rewards[place])
    return total


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.floats(min_value=-5, max_value=5, allow_subnormal=False), st.integers(min_value=-1, max_value=3)),
        min_size=1,
        max_size=7,
    )
)
def test_plackett_luce_is_what_a_loop_says_with_ties_and_images_left_out(images: list[tuple[float, int]]) -> None:
    rewards, ranks = [reward for reward, _ in images], [rank for _, rank in images]
    tensor = torch.tensor([rewards], requires_grad=True)
    loss = losses.plackett_luce(tensor, torch.tensor([ranks]))
    assert loss.item() == pytest.approx(_plackett_luce_by_loop(rewards, ranks), rel=1e-4, abs=1e-5)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert tensor.grad is not None
    assert tensor.grad.isfinite().all()
    left_out = torch.tensor([ranks]) < 0
    assert not tensor.grad[left_out].any()


def test_plackett_luce_is_the_probability_of_choosing_the_best_first() -> None:
    worths = torch.tensor([[3.0, 2.0, 1.0]])
    loss = losses.plackett_luce(worths.log(), torch.tensor([[0, 1, 2]]))
    assert loss.item() == pytest.approx(-math.log(3 / 6 * 2 / 3), rel=1e-6)


def test_a_guarded_step_does_not_make_the_winner_worse() -> None:
    """The outputs themselves are trained, where the first-order bound of SDPO is exact."""
    source = torch.Generator().manual_seed(0)
    worse = 0
    for keep in (None, 1.0, 0.5):
        shared = torch.randn(32, 20, generator=source)
        winner = shared + 0.1 * torch.randn(32, 20, generator=source)
        loser = 3 * shared + 0.1 * torch.randn(32, 20, generator=source)
        share = losses.guard(winner, loser, keep) if keep is not None else torch.ones(32)
        step = winner - share[:, None] * loser  # one output for both: as alike as a model's answers can be
        change = -(winner * step).sum(1)  # of the winner's error, to first order, by a step against the gradient
        if keep is None:
            worse = int((change > 0).sum())
        else:
            assert (change <= 1e-4).all()
    assert worse > 16, "without the guard most winners get worse"


def test_a_guard_lets_a_loser_be_that_does_not_pull_its_winner_along() -> None:
    winner, loser = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 1.0]])
    assert losses.guard(winner, loser, 0.1).item() == 1.0
    assert losses.guard(winner, winner / 10, 1.0).item() == 1.0


def test_scaling_a_gradient_leaves_the_value() -> None:
    value = torch.tensor([2.0, 3.0], requires_grad=True)
    scaled = losses.scale_gradient(value, torch.tensor([0.25, 1.0]))
    scaled.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(scaled.detach(), value.detach())
    assert value.grad is not None
    assert value.grad.tolist() == [0.25, 1.0]


@given(
    st.lists(st.floats(min_value=-4, max_value=4, allow_subnormal=False), min_size=1, max_size=9),
    st.floats(min_value=0.1, max_value=50),
)
def test_reward_weights_are_exponential_and_one_on_average(rewards: list[float], temperature: float) -> None:
    weights = losses.reward_weights(rewards, temperature)
    assert sum(weights) / len(weights) == pytest.approx(1.0)
    for one, other in zip(range(len(rewards)), range(1, len(rewards)), strict=False):
        expected = math.exp((rewards[one] - rewards[other]) / temperature)
        assert weights[one] == pytest.approx(weights[other] * expected, rel=1e-6)
