"""What the built-in model is taught: captions, colours, and what is kept from it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from generation.builtin import data

APPLE = data.Subject("red apple", ("apple",))
CAT = data.Subject("cat face", ("cat", "kitten"))


def drawn_apple() -> data.Floats:
    """A red square with a green leaf above it, on nothing."""
    sprite = np.zeros((128, 128, 4), np.float32)
    sprite[40:110, 20:110] = (0.85, 0.1, 0.12, 1)
    sprite[10:38, 60:80] = (0.2, 0.7, 0.2, 1)
    return sprite


@pytest.fixture
def sprites(monkeypatch: pytest.MonkeyPatch) -> data.Sprites:
    """Two subjects that look alike, without any package."""
    monkeypatch.setattr(data, "load_source", lambda package, subjects, cache: [drawn_apple() for _ in subjects])
    return data.Sprites([APPLE, CAT])


def everything_said(**changes: str) -> data.Attributes:
    attributes = {"style": "3d", "colour": "blue", "background": "yellow"} | changes
    return data.Attributes(subject=CAT, **attributes)


def test_a_caption_always_names_the_subject() -> None:
    rng = np.random.default_rng(0)
    captions = [data.caption(everything_said(), rng) for _ in range(200)]
    assert all("cat" in caption.split() or "kitten" in caption.split() for caption in captions)


def test_style_is_said_in_fewer_than_half_of_the_captions() -> None:
    rng = np.random.default_rng(0)
    said = sum("3d" in data.caption(everything_said(), rng).split() for _ in range(2000)) / 2000
    assert 0.40 < said < 0.50


def test_every_word_of_a_caption_is_in_the_vocabulary(sprites: data.Sprites) -> None:
    rng = np.random.default_rng(0)
    vocabulary = set(data.vocabulary(sprites.subjects))
    for one in data.sample_many(sprites, 500, seed=0):
        assert set(data.caption(one, rng).split()) <= vocabulary


def test_a_plain_description_reads_as_a_sentence() -> None:
    assert data.describe("apple", "3d", "orange", "white") == "a 3d icon of an orange apple on a white background"
    assert data.describe("octopus") == "an icon of an octopus"


def test_recolouring_moves_the_fruit_and_keeps_the_leaf_green() -> None:
    apple = drawn_apple()
    blue = data.recolour(apple, data.COLOURS["blue"])
    assert blue[80, 60, 2] > 0.6 > blue[80, 60, 0]
    np.testing.assert_allclose(blue[20, 70], apple[20, 70], atol=1e-3)


def test_recolouring_keeps_the_outline() -> None:
    apple = drawn_apple()
    np.testing.assert_array_equal(data.recolour(apple, data.COLOURS["pink"])[..., 3], apple[..., 3])


def test_held_out_pairs_are_never_sampled(sprites: data.Sprites) -> None:
    held_out = set(data.held_out_pairs(sprites))
    assert held_out
    sampled = {(one.subject, one.colour) for one in data.sample_many(sprites, 3000, seed=3)}
    assert not held_out & sampled


def test_styles_and_backgrounds_are_sampled_evenly(sprites: data.Sprites) -> None:
    attributes = data.sample_many(sprites, 5000, seed=4)
    for seen, kinds in (
        (Counter(one.style for one in attributes), data.STYLES),
        (Counter(one.background for one in attributes), data.BACKGROUNDS),
    ):
        assert set(seen) == set(kinds)
        assert max(seen.values()) < 2 * min(seen.values())


def test_the_subject_is_never_painted_on_its_own_colour(sprites: data.Sprites) -> None:
    for one in data.sample_many(sprites, 2000, seed=5):
        assert one.colour != one.background


@pytest.mark.parametrize("style", data.STYLES)
def test_a_picture_shows_its_background_in_the_corner(sprites: data.Sprites, style: str) -> None:
    attributes = data.Attributes(APPLE, style, "blue", "yellow")
    image = data.render(sprites, attributes, np.random.default_rng(0))
    assert image.shape == (64, 64, 3)
    np.testing.assert_allclose(image[0, 0], data.BACKGROUNDS["yellow"], atol=15)


def test_pixel_art_is_made_of_squares(sprites: data.Sprites) -> None:
    image = data.render(sprites, data.Attributes(APPLE, "pixel art", "", "white"), np.random.default_rng(0))
    squares = image.reshape(16, 4, 16, 4, 3)
    assert (squares == squares[:, :1, :, :1]).all()


def test_a_bank_and_its_list_of_attributes_agree(sprites: data.Sprites) -> None:
    _, attributes = data.make_bank(sprites, 20, seed=6)
    assert attributes == data.sample_many(sprites, 20, seed=6)


def test_the_demo_prompts_are_distinct_and_understood() -> None:
    prompts = (data.HERE / "prompts.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = set(data.vocabulary(data.read_subjects()))
    assert len(prompts) == len(set(prompts)) == 120
    assert all(set(prompt.split()) <= vocabulary for prompt in prompts)
