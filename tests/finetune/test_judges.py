"""The two judges: other networks, other training pictures, and what ships of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.judges import networks, train
from finetune.types import Judge
from generation.builtin import data

torch.set_num_threads(1)

APPLE = data.Subject("red apple", ("apple",))
CAT = data.Subject("cat face", ("cat", "kitten"))
BOTH: tuple[Judge, Judge] = ("taste", "referee")


def drawn(bright: float) -> data.Floats:
    """A square with a leaf above it, on nothing."""
    sprite = np.zeros((128, 128, 4), np.float32)
    sprite[40:110, 20:110] = (bright, 0.1, 0.12, 1)
    sprite[10:38, 60:80] = (0.2, 0.7, 0.2, 1)
    return sprite


@pytest.fixture(scope="module")
def sprites() -> data.Sprites:
    """Two subjects, without any package; only for reading."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load_source", lambda package, subjects, cache: [drawn(0.9), drawn(0.5)])
        return data.Sprites([APPLE, CAT])


def test_no_picture_is_shown_to_both_judges_or_kept_for_testing_too(sprites: data.Sprites) -> None:
    seen = {}
    for share in ("taste", "referee", "testing"):
        _, attributes = train.draw(sprites, 40, seed=1, share=share)
        seen[share] = set(attributes)
    assert all(seen.values())
    assert not seen["taste"] & seen["referee"]
    assert not seen["testing"] & (seen["taste"] | seen["referee"])


def test_a_judge_answers_every_question_about_every_picture() -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8)
    for judge in BOTH:
        chances = networks.look(networks.NETWORKS[judge](56).eval(), pictures, batch=2)
        assert {name: chance.shape for name, chance in chances.items()} == {
            "subject": (3, 56),
            "style": (3, 5),
            "colour": (3, 10),
            "background": (3, 10),
        }
        for chance in chances.values():
            torch.testing.assert_close(chance.sum(1), torch.ones(3))


def test_the_judges_are_built_of_other_layers() -> None:
    taste, referee = ({type(one).__name__ for one in networks.NETWORKS[judge](56).modules()} for judge in BOTH)
    assert taste & referee <= {"Linear", "ModuleDict", "Sequential"}
    assert "Conv2d" in taste
    assert "Conv2d" not in referee


@pytest.mark.parametrize("judge", BOTH)
def test_a_judge_learns_what_it_is_shown_and_is_saved_as_it_is(
    judge: Judge, sprites: data.Sprites, tmp_path: Path
) -> None:
    images, attributes = train.draw(sprites, 64, seed=3, share=judge)
    wanted = train.answers(attributes, sprites.subjects)
    recipe = dataclasses.replace(train.RECIPES[judge], epochs=5, batch=16)
    network = train.train(judge, recipe, images, wanted, subjects=2)
    right, asked = map(int, train.right(network, images, wanted)["background"].split("/"))
    assert asked == 64
    assert right > 20  # 6 by chance

    card = networks.Card(judge=judge, subjects=(("a",), ("b",)), recipe={}, parameters=1, accuracy={})
    train.save(network, card, tmp_path)
    loaded, read = networks.load(judge, tmp_path)
    assert read == card
    for name, chance in networks.look(loaded, images[:8]).items():
        torch.testing.assert_close(chance, networks.look(network, images[:8])[name], atol=0.02, rtol=0)


def test_a_natural_colour_is_nothing_to_be_right_about() -> None:
    natural = data.Attributes(APPLE, "3d", data.NATURAL, "white")
    assert train.answers([natural], [APPLE])["colour"].tolist() == [train.UNKNOWN]


@pytest.mark.parametrize("judge", BOTH)
def test_what_ships_is_small_knows_the_published_subjects_and_says_how_often_it_is_right(judge: Judge) -> None:
    network, card = networks.load(judge)
    assert (networks.HERE / f"{judge}.safetensors").stat().st_size <= 2_000_000
    assert card.judge == judge
    published = {(subject.name, *subject.nouns) for subject in data.read_subjects()}
    assert published <= set(card.subjects)
    assert card.parameters == sum(parameter.numel() for parameter in network.parameters())
    for name, least in {"subject": 0.97, "style": 0.95, "colour": 0.9, "background": 0.97}.items():
        right, asked = map(int, card.accuracy[name].split("/"))
        assert right / asked >= least, f"{judge} of {name}"
