"""What generation/README.md promises about rendering the same thing again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from generation.engine import Engine
from generation.storage import Storage
from generation.types import MAX_SEED
from tests.generation.conftest import Ask, Render, reference


def _pixels(storage: Storage, key: str) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(storage.read(key))), dtype=np.int64)


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux", "pixart"])
def test_the_same_request_gives_the_same_files(family: str, ask: Ask, render: Render, storage: Storage) -> None:
    request = ask({"red apple": range(5), "blue bird": range(4)}, model=reference(family))
    first = render(request)
    files = set(storage.keys())
    assert render(request) == first
    assert set(storage.keys()) == files


def test_what_was_rendered_before_does_not_matter(ask: Ask, render: Render) -> None:
    request = ask({"red apple": [1, 2]}, scheduler="dpmpp_2m", steps=4)
    warm = Engine()
    render(ask({"something": range(3)}, scheduler="unipc", steps=5, width=32, height=32), warm)
    assert render(request, warm) == render(request, Engine())


def test_other_seeds_give_other_images(ask: Ask, render: Render) -> None:
    seeds = [0, 1, 2, 2**31, 2**32 - 2, MAX_SEED]
    images = render(ask({"apple": seeds}))
    assert len({image.key for image in images.values()}) == len(seeds)
    assert [image.manifest.seed for _, image in sorted(images.items())] == seeds


def test_seeds_that_differ_above_the_low_32_bits_only_are_one_to_torch(ask: Ask, render: Render) -> None:
    images = render(ask({"apple": [5, 2**32 + 5]}))
    assert images["apple", 0].key == images["apple", 1].key
    assert images["apple", 1].manifest.seed == 2**32 + 5


def test_other_prompts_give_other_images(ask: Ask, render: Render) -> None:
    images = render(ask({"apple": [1], "bird": [1]}))
    assert images["apple", 0].key != images["bird", 0].key


def test_the_neighbours_in_a_batch_change_no_more_than_rounding(ask: Ask, render: Render, storage: Storage) -> None:
    together = render(ask({"apple": range(3), "bird": range(4)}, steps=4, scheduler="euler_a"))
    alone = {
        (text, seed): render(ask({text: [seed]}, steps=4, scheduler="euler_a"))[text, 0]
        for text, seeds in (("apple", range(3)), ("bird", range(4)))
        for seed in seeds
    }
    for name, image in together.items():
        difference = np.abs(_pixels(storage, image.key) - _pixels(storage, alone[name].key))
        assert difference.max() <= 1  # of 255 levels: the sum of the same numbers in another order


def test_the_order_of_prompts_and_slots_does_not_matter_within_a_batch(ask: Ask, render: Render) -> None:
    forth = render(ask({"apple": [1, 2], "bird": [3, 4]}))
    back = render(ask({"bird": [4, 3], "apple": [2, 1]}))
    assert {(text, image.manifest.seed): image.key for (text, _), image in forth.items()} == {
        (text, image.manifest.seed): image.key for (text, _), image in back.items()
    }
