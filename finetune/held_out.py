"""What a run measures of the rows that it does not learn from, the same way at every checkpoint.

Each image is noised at the same few times, evenly spread over the model's own, with the same noise as its item's other
images and at every checkpoint: what changes is the model alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import PartialState
from torch import Tensor

from finetune import adapters, draws
from finetune.caching import Cache
from finetune.devices import Room, add_up, autocast, share_of
from finetune.losses import implicit_reward
from finetune.prediction import Predictor, errors
from finetune.types import Preference

ROWS = 64
TIMES = 4


class HeldOut:
    """Measures the model on rows of the validation split."""

    def __init__(
        self, rows: Sequence[Preference], predictor: Predictor, cache: Cache, room: Room, state: PartialState
    ) -> None:
        self._rows = list(share_of(list(enumerate(rows)), state))
        self._predictor, self._cache, self._room, self._state = predictor, cache, room, state
        self._reference: list[Tensor] | None = None
        self.empty = not rows

    def measure(self) -> dict[str, float]:
        """Return the figures, named as in MetricPoint; nothing where nothing is held out.

        winner_error and loser_error are relative to the reference's; implicit_accuracy is the share of pairs of which
        the preferred image has the higher implicit reward, averaged over times; the temperature beta does not matter.
        """
        if self.empty:
            return {}
        if self._reference is None:
            with adapters.reference(self._predictor.network):
                self._reference = [self._errors(number, row) for number, row in self._rows]
        with torch.no_grad():
            policy = [self._errors(number, row) for number, row in self._rows]
        sums = torch.zeros(6, dtype=torch.float64)
        for (_, row), now, then in zip(self._rows, policy, self._reference, strict=True):
            reward = implicit_reward(now, then, 1.0)
            for (a, b, share), weight in zip(row.pairs, row.pair_weights, strict=True):
                if share == 0.5 or weight == 0:
                    continue
                winner, loser = (a, b) if share > 0.5 else (b, a)
                right = float(reward[winner] > reward[loser]) + 0.5 * float(reward[winner] == reward[loser])
                sums += torch.tensor([now[winner], then[winner], now[loser], then[loser], right, 1], dtype=sums.dtype)
        everyone = sums.to(self._state.device)
        add_up([everyone])
        winner_now, winner_then, loser_now, loser_then, right, pairs = everyone.tolist()
        return {
            "held_out_winner_error": winner_now / winner_then - 1,
            "held_out_loser_error": loser_now / loser_then - 1,
            "held_out_implicit_accuracy": right / pairs,
        }

    def _errors(self, number: int, row: Preference) -> Tensor:
        """Return the error of each image of a row, averaged over times. (K,), on the CPU."""
        keys, shape = [image.key for image in row.images], self._cache.shape(row.images[0].key)
        count = len(keys)
        source = draws.generator(0, "held out", number)
        latents = self._cache.latents(keys, draws.noise(torch.Size([count, *shape]), source), [False] * count)
        latents = latents.repeat(TIMES, 1, 1, 1)
        noise = draws.noise(torch.Size([TIMES, *shape]), source).repeat_interleave(count, 0).to(latents.device)
        uniform = ((torch.arange(TIMES) + 0.5) / TIMES).repeat_interleave(count)
        times = self._predictor.times(uniform).to(latents.device)
        text = self._cache.text([row.prompt])

        def measure(part: slice) -> Tensor:
            size = len(latents[part])
            words = {name: one.expand(size, *one.shape[1:]) for name, one in text.items()}
            with autocast(latents.device):
                return errors(self._predictor.residual(latents[part], noise[part], times[part], words))

        return torch.cat(self._room.in_parts(len(latents), measure)).view(TIMES, count).mean(0).cpu()
