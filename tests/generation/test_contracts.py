"""What the contracts refuse at the border: each with the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from generation.types import MAX_SEED, Conditioning, RenderRequest
from tests.generation.conftest import Ask

KEY = f"aa/{'a' * 64}.png"


@pytest.fixture
def message(ask: Ask) -> dict[str, Any]:
    """A request as it crosses the broker."""
    return ask({"apple": [1]}).model_dump(mode="json")


def _put(message: dict[str, Any], path: str, value: object) -> None:
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in way:
        message = message[part]  # type: ignore[index]
    message[last] = value  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("prompts.0.slots.0.seed", -1),
        ("prompts.0.slots.0.seed", MAX_SEED + 1),
        ("prompts.0.slots.0.seed", 1.5),
        ("prompts.0.slots.0.seed", "many"),
        ("prompts.0.slots", []),
        ("prompts.0.text", ""),
        ("prompts.0.text", "a" * 10_001),
        ("prompts.0.negative", "a" * 10_001),
        ("settings.guidance_scale", "much"),
        ("settings.guidance_scale", -1),
        ("settings.guidance_scale", float("nan")),
        ("settings.guidance_scale", float("inf")),
        ("settings.width", 20),
        ("settings.height", 8),
        ("settings.height", 4096),
        ("settings.steps", 0),
        ("settings.steps", 151),
        ("settings.scheduler", "os.system"),
        ("settings.strength", 0),
        ("settings.strength", 1.1),
        ("settings.control_scale", -0.1),
        ("settings.clip_skip", 1),
        ("model.location", "/etc/passwd"),
        ("model.location", "folder:../../etc"),
        ("model.location", "https://example.org/model"),
        ("model.sha256", "abc"),
    ],
)
def test_a_value_out_of_range_is_refused_where_it_stands(message: dict[str, Any], path: str, value: object) -> None:
    RenderRequest.model_validate(message)
    _put(message, path, value)
    with pytest.raises(ValidationError) as refused:
        RenderRequest.model_validate(message)
    problem = refused.value.errors()[0]  # the one that people are shown
    assert ".".join(map(str, problem["loc"])) == path


@pytest.mark.parametrize("seed", [0, 2**32, MAX_SEED])
def test_a_seed_may_use_all_of_its_63_bits(message: dict[str, Any], seed: int) -> None:
    _put(message, "prompts.0.slots.0.seed", seed)
    assert RenderRequest.model_validate(message).prompts[0].slots[0].seed == seed


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "image", "image": KEY, "mask": KEY},
        {"kind": "inpaint", "image": KEY},
        {"kind": "outpaint", "image": KEY},
        {"kind": "control", "image": KEY, "margins": {"left": 8}},
        {"kind": "outpaint", "image": KEY, "margins": {"left": 7}},
        {"kind": "outpaint", "image": KEY, "margins": {"left": 2048}},
        {"kind": "image", "image": "../../etc/passwd"},
        {"kind": "image", "image": f"{KEY}\n"},
        {"kind": "video", "image": KEY},
    ],
)
def test_a_picture_without_its_parts_or_from_elsewhere(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Conditioning.model_validate(given)
