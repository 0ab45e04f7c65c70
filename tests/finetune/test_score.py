"""What judges and reward models say of images, and what they leave unsaid."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from finetune import reward_model, score
from finetune.errors import ImageUnreadableError, WrongBaseError
from finetune.judges.networks import Card, load
from finetune.types import ScoreImage, ScoreRequest
from generation.builtin import data
from generation.storage import Storage
from generation.types import Lease, ModelReference

torch.set_num_threads(1)

LEASE = Lease(job=UUID(int=1), token=UUID(int=2), attempt=1)
CARD = Card(
    judge="referee",
    subjects=(
        ("cat face", "cat", "cat face", "kitten"),
        ("light bulb", "light bulb", "bulb"),
        ("cherries", "cherries"),
    ),
    recipe={},
    parameters=0,
    accuracy={},
)


def said(prompt: str) -> dict[str, str | None]:
    """What the card's judge understands, in words."""
    found = score.understand(prompt, CARD)
    subjects = [names[0] for names in CARD.subjects]
    named = {
        "subject": (subjects, found.subject),
        "style": (CARD.styles, found.style),
        "colour": (CARD.colours, found.colour),
        "background": (CARD.backgrounds, found.background),
    }
    return {head: answers[place] for head, (answers, place) in named.items() if place is not None}


# -- prompts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "meaning"),
    [
        (
            "a 3d icon of a red kitten on a white background",
            {"subject": "cat face", "style": "3d", "colour": "red", "background": "white"},
        ),
        ("pixel art light bulb", {"subject": "light bulb", "style": "pixel art"}),
        ("A Cartoon icon of CHERRIES, on an orange background.",
         {"subject": "cherries", "style": "cartoon", "background": "orange"}),
        ("an icon of a cat", {"subject": "cat face"}),
        ("a white cat on a blue background", {"subject": "cat face", "background": "blue"}),  # no such colour of things
        ("an astronaut riding a horse", {}),
        ("", {}),
        ("a cat and a bulb", {}),  # two subjects: nobody could say which must be there
        ("a 3d icon of a cat in pixel art style", {"subject": "cat face"}),
        ("a caterpillar", {}),
        ("cat on a background", {"subject": "cat face"}),
    ],
)  # fmt: skip
def test_a_judge_understands_the_models_language_and_leaves_the_rest_open(prompt: str, meaning: dict[str, str]) -> None:
    assert said(prompt) == meaning


def test_every_caption_of_the_built_in_model_is_understood() -> None:
    subjects = data.read_subjects()
    card = CARD.model_copy(update={"subjects": tuple((one.name, *one.nouns) for one in subjects)})
    rng = np.random.default_rng(0)
    everything = data.Saying(style=1, colour=1, background=1)
    for subject in subjects:
        for style in data.STYLES:
            one = data.Attributes(
                subject, style, str(rng.choice(list(data.COLOURS))), str(rng.choice(list(data.BACKGROUNDS)))
            )
            found = score.understand(data.caption(one, rng, everything), card)
            assert found == score.Said(
                subjects.index(subject),
                data.STYLES.index(style),
                list(data.COLOURS).index(one.colour),
                list(data.BACKGROUNDS).index(one.background),
            )


# -- pixels ------------------------------------------------------------------------------------------------------------


def picture(thing: tuple[int, int, int] | None, background: tuple[int, int, int], size: int = 64) -> Image.Image:
    """A disc on a plain background."""
    made = Image.new("RGB", (size, size), background)
    if thing:
        ImageDraw.Draw(made).ellipse((size // 4, size // 4, 3 * size // 4, 3 * size // 4), fill=thing)
    return made


def pixels(thing: tuple[int, int, int] | None, background: tuple[int, int, int]) -> data.Bytes:
    return np.asarray(picture(thing, background))


def test_warmth_is_the_red_minus_the_blue_of_the_thing_alone() -> None:
    assert score.colours_of(pixels((255, 0, 0), (0, 0, 255)))["warmth"] == pytest.approx(1)
    assert score.colours_of(pixels((0, 0, 255), (255, 0, 0)))["warmth"] == pytest.approx(-1)
    assert score.colours_of(pixels((90, 200, 90), (255, 255, 255)))["warmth"] == pytest.approx(0)


@pytest.mark.parametrize(("name", "colour"), list(data.BACKGROUNDS.items()))
def test_a_background_is_coloured_unless_it_is_white_black_or_gray(name: str, colour: tuple[int, int, int]) -> None:
    jittered = tuple(min(255, part + 4) for part in colour)
    found = score.colours_of(pixels((60, 90, 30), jittered))  # type: ignore[arg-type]
    assert found["coloured_background"] == (name not in {"white", "black", "gray"})


def test_an_empty_picture_has_no_warmth() -> None:
    assert score.colours_of(pixels(None, (250, 250, 250))) == {"coloured_background": 0}


def test_nothing_is_said_of_a_background_that_is_not_plain() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert score.colours_of(noise) == {}
    assert score.colours_of(noise[:3, :3]) == {}


def test_distances_within_a_prompt_are_root_mean_squares() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert score.distance_within(np.stack([black, black])) == 0
    assert score.distance_within(np.stack([black, white])) == pytest.approx(1)
    assert score.distance_within(np.stack([black, black, white])) == pytest.approx(2 / 3)


# -- requests ----------------------------------------------------------------------------------------------------------

Ask = Callable[..., ScoreRequest]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "storage").as_uri())


@pytest.fixture
def ask(storage: Storage) -> Ask:
    """Return a maker of requests: pictures with their prompts."""

    def make(images: Sequence[tuple[str, Image.Image]], **measure: object) -> ScoreRequest:
        entries = []
        for number, (prompt, made) in enumerate(images):
            file = io.BytesIO()
            made.save(file, "PNG")
            entries.append(ScoreImage(id=UUID(int=number), key=storage.put(file.getvalue(), "png"), prompt=prompt))
        chosen = measure or {"judge": "referee"}
        return ScoreRequest.model_validate(
            {"lease": LEASE, "images": tuple(entries), "storage_url": storage.url} | chosen
        )

    return make


RED_ON_BLUE = ((255, 0, 0), (110, 165, 240))


@pytest.mark.parametrize("judge", ["taste", "referee"])
def test_a_judge_says_only_what_the_prompt_asks_and_every_style(ask: Ask, storage: Storage, judge: str) -> None:
    prompt = "an icon of a cat on a blue background"
    request = ask([(prompt, picture(*RED_ON_BLUE)), ("an icon of a unicycle", picture(*RED_ON_BLUE))], judge=judge)
    result = score.score(request, storage)
    first, second = (one.values for one in result.scores)
    styles = {"is_3d", "is_flat", "is_silhouette", "is_cartoon", "is_pixel_art"}
    assert set(first) == {"subject", "background", "warmth", "coloured_background"} | styles
    assert set(second) == {"warmth", "coloured_background"} | styles
    assert first["subject"] in {0, 1}
    assert first["background"] == 1
    assert sum(first[name] for name in styles) == pytest.approx(1)
    assert result.diversity is None  # one image a prompt
    assert result.lease == LEASE


def test_a_picture_of_another_size_is_not_judged_but_measured(ask: Ask, storage: Storage) -> None:
    result = score.score(ask([("an icon of a cat", picture(*RED_ON_BLUE, size=96))]), storage)
    assert set(result.scores[0].values) == {"warmth", "coloured_background"}


def test_answers_come_in_the_order_of_the_images_and_progress_is_told(ask: Ask, storage: Storage) -> None:
    prompts = ["a cat", "a dog", "a cat"]
    told: list[int] = []
    request = ask([(prompt, picture((50 * n, 0, 0), (255, 255, 255))) for n, prompt in enumerate(prompts)])
    result = score.score(request, storage, told.append)
    assert [one.id for one in result.scores] == [UUID(int=n) for n in range(3)]
    warmth = [one.values["warmth"] for one in result.scores]
    assert warmth == sorted(warmth)
    assert told == [2, 3]
    assert result.diversity == pytest.approx(
        score.distance_within(np.stack([pixels((50 * n, 0, 0), (255, 255, 255)) for n in (0, 2)]))
    )


def test_a_reward_model_says_its_reward(ask: Ask, storage: Storage, tmp_path: Path) -> None:
    scorer = reward_model.fresh(["a cat"], None, seed=2)
    path = tmp_path / reward_model.FILE
    reward_model.save(scorer, path)
    key = storage.put(path.read_bytes(), "safetensors")
    model = ModelReference(id=UUID(int=9), name="Liked", location=f"storage:{key}")
    result = score.score(ask([("a cat", picture(*RED_ON_BLUE))], reward_model=model), storage)
    assert result.scores[0].values == pytest.approx({"reward": scorer.score(["a cat"], [picture(*RED_ON_BLUE)])[0]})


def test_a_missing_or_broken_image_is_named(ask: Ask, storage: Storage) -> None:
    request = ask([("a cat", picture(*RED_ON_BLUE))])
    gone = request.images[0].model_copy(update={"key": f"aa/{'a' * 64}.png"})
    with pytest.raises(ImageUnreadableError, match="is missing"):
        score.score(request.model_copy(update={"images": (gone,)}), storage)
    broken = gone.model_copy(update={"key": storage.put(b"no picture", "png")})
    with pytest.raises(ImageUnreadableError, match="no picture that can be read"):
        score.score(request.model_copy(update={"images": (broken,)}), storage)


def test_a_file_that_is_no_reward_model_is_refused(ask: Ask, storage: Storage) -> None:
    model = ModelReference(id=UUID(int=9), name="Liked", location=f"storage:{storage.put(b'x', 'safetensors')}")
    with pytest.raises(WrongBaseError, match="reward model"):
        score.score(ask([("a cat", picture(*RED_ON_BLUE))], reward_model=model), storage)


def test_the_judges_were_told_apart_from_the_start() -> None:
    (taste, _), (referee, _) = load("taste"), load("referee")
    assert type(taste) is not type(referee)


def test_the_command_line_measures_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        picture((120 * number, 0, 0), (255, 255, 255)).save(tmp_path / f"{number}.png")
    said = ["--folder", str(tmp_path), "--prompt", "a 3d icon of a cat", "--judge", "taste"]
    monkeypatch.setattr(sys, "argv", ["score", *said])
    assert score.main() == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("image") for line in lines] == ["0.png", "1.png", None]
    assert lines[-1]["images"] == 2
    assert lines[-1]["diversity"] > 0
    (tmp_path / "2.png").write_bytes(b"")
    assert score.main() == 1
    assert "2.png is no picture" in capsys.readouterr().err
