"""The maths of the built-in model's trainer, and its tokenizer."""

from __future__ import annotations

import torch

from generation.builtin import data, train

CONFIG = train.Config()


def test_the_velocity_and_the_noised_latents_give_the_clean_ones_back() -> None:
    latents, noise = torch.randn(2, 5, 4, 16, 16).unbind(0)
    alphas = torch.linspace(0, 1, 5)
    noised, velocity = train.noised_and_target(latents, noise, alphas)
    a, s = (value.sqrt().view(-1, 1, 1, 1) for value in (alphas, 1 - alphas))
    torch.testing.assert_close(a * noised - s * velocity, latents)


def test_the_schedule_ends_in_pure_noise() -> None:
    assert train.build_scheduler().alphas_cumprod[-1] == 0


def test_the_loss_weight_keeps_its_floor_where_there_is_only_noise() -> None:
    weights = train.loss_weight(train.build_scheduler().alphas_cumprod, clamp=4, floor=0.5)
    assert weights[-1] == 0.5
    assert weights.min() >= 0.5


def test_most_timesteps_are_noisy_ones() -> None:
    timesteps = train.draw_timesteps(CONFIG, 4000, torch.Generator().manual_seed(0))
    assert 0.85 < (timesteps >= CONFIG.noisy_from).float().mean() < 0.91
    assert timesteps.min() >= 0
    assert timesteps.max() <= 999


def test_every_word_is_one_token_and_unknown_ones_are_unk() -> None:
    tokenizer = train.build_tokenizer(data.vocabulary(data.read_subjects()), CONFIG.text_length)
    ids = tokenizer("A 3D icon of a red xylophone, please").input_ids
    words = tokenizer.convert_ids_to_tokens(ids)
    assert words == ["<s>", "a", "3d", "icon", "of", "a", "red", "<unk>", "<unk>", "</s>"]
