"""The losses of the three methods, as functions of errors: small enough to check by hand.

An *error* is the mean squared error of the model's prediction (of the noise, of v, or of the flow) over one image's
latent. An error that falls below the reference's means that the image has become likelier, hence the implicit reward

    h = beta * (error of the reference - error of the policy)

of an image (Wallace et al. 2023, arXiv:2311.12908, eq. 14). Errors come as float32; nothing here is averaged over the
batch, because the mean of a batch that several processes share is the trainer's to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

PairLoss = Literal["sigmoid", "ipo", "hinge", "robust"]


def effective_beta(launcher_beta: float) -> float:
    """Return the beta of `implicit_reward` for one as the Diffusion-DPO launcher and diffusers' script take it.

    They compute -log sigmoid(-0.5 * beta * (...)): their 5000 is 2500 here.
    """
    return launcher_beta / 2


def implicit_reward(policy: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Return h of each image. policy, reference: (...) errors; returns (...) in float32 at least.

    The errors are nearly equal, so that bfloat16 would lose their difference.
    """
    precise = torch.promote_types(policy.dtype, torch.float32)
    return beta * (reference.to(precise) - policy.to(precise))


def dpo(
    policy: Tensor,
    reference: Tensor,
    beta: float,
    *,
    preferred: Tensor | None = None,
    kind: PairLoss = "sigmoid",
    smoothing: float = 0.0,
) -> Tensor:
    """Diffusion-DPO of each pair (Wallace et al. 2023, arXiv:2311.12908, eq. 14), with soft labels.

    policy, reference: (2, B) errors; row 0 is the preferred image. preferred: (B,) share of the judgements that prefer
    it, 1 where left out: where annotators disagree the label is soft, and the best margin is logit(preferred).
    kind, with d the margin: sigmoid, -log s(d); hinge, max(0, 1 - d) (Zhao et al. 2023, arXiv:2305.10425); ipo,
    (d / beta - 1 / (2 beta))^2 (Azar et al. 2023, arXiv:2310.12036, eq. 17); robust, unbiased where a share
    `smoothing` of the labels is flipped (Chowdhury et al. 2024, arXiv:2403.00409). Returns (B,).
    """
    margin = implicit_reward(policy[0], reference[0], beta) - implicit_reward(policy[1], reference[1], beta)
    forward, backward = (_pair_loss(one, beta, kind, smoothing) for one in (margin, -margin))
    if preferred is None:
        return forward
    return preferred * forward + (1 - preferred) * backward


def _pair_loss(margin: Tensor, beta: float, kind: PairLoss, smoothing: float) -> Tensor:
    if kind == "hinge":
        return torch.relu(1 - margin)
    if kind == "ipo":
        return (margin / beta - 1 / (2 * beta)).square()
    clean = -functional.logsigmoid(margin)
    if kind == "robust":
        flipped = -functional.logsigmoid(-margin)
        return ((1 - smoothing) * clean - smoothing * flipped) / (1 - 2 * smoothing)
    return clean


def guard(winner: Tensor, loser: Tensor, keep: float) -> Tensor:
    """Share of each loser's gradient that leaves its winner no worse (Fu et al. 2025, SDPO, arXiv:2511.03317).

    DPO may widen the margin by making both images worse, the loser more. A step along -(g_w - c g_l) does not raise the
    winner's error to first order while c <= |g_w|^2 / <g_w, g_l>; the gradients are taken with respect to the model's
    output, where they are the residuals themselves. winner, loser: (B, ...) residuals (prediction minus target);
    keep: how much of that bound is used, 1 all of it, 0 nothing of the loser where the two pull together.
    Returns (B,) within 0..1, without gradient.
    """
    with torch.no_grad():
        together = (winner * loser).flatten(1).sum(1)
        bound = winner.flatten(1).square().sum(1) / together.clamp(min=torch.finfo(together.dtype).tiny)
        return torch.where(together > 0, (keep * bound).clamp(max=1), torch.ones_like(bound))


def scale_gradient(value: Tensor, share: Tensor) -> Tensor:
    """Return `value` unchanged, of which only `share` of the gradient flows back."""
    return share * value + (1 - share) * value.detach()


def plackett_luce(rewards: Tensor, ranks: Tensor) -> Tensor:
    """Negative log likelihood of each ranking under Plackett-Luce (Luce 1959; Plackett 1975), ties after Breslow.

    rewards: (R, K) implicit rewards; ranks: (R, K) whole numbers, 0 is best, equal is a tie, -1 was not ranked.
    Returns (R,).

    Each image j is chosen among those that are no better: the sum of logsumexp_{rank(k) >= rank(j)} h_k - h_j.
    A ranking of n images has n - 1 choices, for the last is none; so the last group's g terms count (g - 1) / g. With
    that a tie of two is the soft label one half, and K = 2 is Diffusion-DPO with ties, too.
    """
    ranked = ranks >= 0
    no_better = (ranks[:, None, :] >= ranks[:, :, None]) & ranked[:, None, :]  # (R, j, k)
    # -inf would make the gradient of a row that is not ranked at all no number
    rivals = rewards[:, None, :].expand_as(no_better).masked_fill(~no_better, torch.finfo(rewards.dtype).min)
    terms = torch.logsumexp(rivals, dim=2) - rewards
    last = ranked & (ranks == ranks.max(dim=1, keepdim=True).values)
    size = last.sum(dim=1, keepdim=True).clamp(min=1).to(rewards.dtype)
    share = torch.where(last, (size - 1) / size, torch.ones_like(size))
    return torch.where(ranked, share * terms, torch.zeros_like(terms)).sum(dim=1)


def ranks_of(groups: Sequence[Sequence[int]], images: int) -> list[int]:
    """Return the rank of each image, as `plackett_luce` takes them, from groups with the best first."""
    ranks = [-1] * images
    for rank, group in enumerate(groups):
        for image in group:
            ranks[image] = rank
    return ranks


def reward_weights(rewards: Sequence[float], temperature: float) -> list[float]:
    """Return exp(r / tau) of the images of one prompt, normalised to a mean of 1 (Lee et al. 2023, arXiv:2302.12192;
    Peters & Schaal 2007): the weight of an image's error in reward-weighted regression.
    """
    shares = torch.softmax(torch.tensor(list(rewards), dtype=torch.float64) / temperature, dim=0)
    return [float(share) for share in shares * len(shares)]
