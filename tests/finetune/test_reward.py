"""The reward model: its loss, what it learns, and that it goes on where it stopped."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import torch
from PIL import Image
from trl.trainer.reward_trainer import RewardTrainer

from finetune import reward, reward_model, snapshot, words
from finetune.errors import NotANumberError, SnapshotBrokenError, SnapshotEmptyError, WrongBaseError, WrongConfigError
from finetune.types import Judgement, MetricPoint, Preference, SnapshotImage, Split
from generation.storage import Storage
from generation.types import ModelReference

torch.set_num_threads(1)

REDS = (20, 90, 160, 230)


def painted(red: int, shade: int) -> bytes:
    """A PNG: a square of some red on a gray of some shade."""
    picture = Image.new("RGB", (16, 16), (shade, shade, shade))
    picture.paste((red, 60, 60), (4, 4, 12, 12))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def row(storage: Storage, number: int, split: Split = "train", p: float = 1.0, images: int = 4) -> Preference:
    """An item whose images are the better the redder they are; the share of those who say so is p."""
    made = []
    for place in range(images):
        content = painted(REDS[place], 5 * number % 250)
        made.append(
            SnapshotImage(
                candidate=UUID(int=64 * number + place),
                key=storage.put(content, "png"),
                sha256=hashlib.sha256(content).hexdigest(),
                width=16,
                height=16,
                model="Painter",
            )
        )
    pairs = tuple((a, b, 1 - p) for a, b in itertools.combinations(range(images), 2))
    return Preference(
        item=UUID(int=number),
        split=split,
        prompt=f"a square number {number}",
        images=tuple(made),
        judgements=(Judgement(annotator="bob", groups=tuple((place,) for place in reversed(range(images)))),),
        strengths=tuple(float(place) for place in range(images)),
        pairs=pairs,
        pair_weights=(1.0,) * len(pairs),
    )


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage((tmp_path / "storage").as_uri())


def write(folder: Path, rows: Sequence[Preference], storage: Storage) -> Path:
    snapshot.write(folder, rows, storage, snapshot.Facts(name="Reds"))
    return folder


@pytest.fixture
def reds(tmp_path: Path, storage: Storage) -> Path:
    """A snapshot in which the redder square is always preferred."""
    rows = [row(storage, number) for number in range(8)]
    return write(tmp_path / "reds", [*rows, *(row(storage, n, "validation") for n in range(8, 12))], storage)


def config(reds: Path, out: Path, **changes: Any) -> reward.Config:
    small: dict[str, Any] = {"steps": 8, "batch": 8, "warmup_steps": 2, "checkpoint_every": 4, "learning_rate": 3e-3}
    return reward.Config(snapshot=str(reds), out=str(out), **small | changes)


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_a_clear_pair_costs_minus_log_sigmoid_of_the_difference() -> None:
    difference = torch.tensor([-2.0, 0.0, 3.0])
    expected = [-math.log(1 / (1 + math.exp(-d))) for d in difference.tolist()]
    torch.testing.assert_close(reward.bradley_terry(difference, torch.ones(3)), torch.tensor(expected))


@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_a_tie_is_best_at_no_difference_whatever_the_margin(margin: float) -> None:
    difference = torch.tensor([0.0], requires_grad=True)
    reward.bradley_terry(difference, torch.tensor([0.5]), margin).sum().backward()  # type: ignore[no-untyped-call]
    assert difference.grad is not None
    assert difference.grad.item() == pytest.approx(0)


def test_a_soft_label_is_best_at_its_logit() -> None:
    share = torch.tensor([0.8])
    best = torch.logit(share).requires_grad_()
    reward.bradley_terry(best, share).sum().backward()  # type: ignore[no-untyped-call]
    assert best.grad is not None
    assert best.grad.item() == pytest.approx(0, abs=1e-7)


def test_a_margin_asks_for_more_distance_the_more_people_agree() -> None:
    difference = torch.tensor([1.0, 1.0, 1.0])
    shares = torch.tensor([1.0, 0.8, 0.5])
    extra = reward.bradley_terry(difference, shares, 0.5) - reward.bradley_terry(difference, shares, 0.0)
    assert extra[0] > extra[1] > extra[2] == 0


def test_with_clear_pairs_of_equal_weight_the_loss_is_trls_own(reds: Path, tmp_path: Path) -> None:
    seen: list[tuple[float, float]] = []

    class Both(reward.PreferenceTrainer):
        def compute_loss(self, model: Any, inputs: Any, *others: Any, **named: Any) -> Any:
            with torch.no_grad():
                alone: Any = RewardTrainer.compute_loss
                theirs = alone(self, model, dict(inputs) | {"margin": torch.tensor(0.3)})
                seen.append((super().compute_loss(model, inputs).item(), theirs.item()))
            return super().compute_loss(model, inputs, *others, **named)

    original, reward.PreferenceTrainer = reward.PreferenceTrainer, Both  # type: ignore[misc]
    try:
        reward.train(config(reds, tmp_path / "out", steps=2, margin=0.3, mirror=False))
    finally:
        reward.PreferenceTrainer = original  # type: ignore[misc]
    assert len(seen) >= 3
    assert all(ours == pytest.approx(theirs, rel=1e-6) for ours, theirs in seen)


# -- what it learns from -----------------------------------------------------------------------------------------------


def test_every_prompt_weighs_the_same_however_many_pairs_it_has(storage: Storage) -> None:
    pairs = reward.pairs_of([row(storage, 1, images=4), row(storage, 2, images=2)])
    assert len(pairs) == 7
    for prompt in ("a square number 1", "a square number 2"):
        assert sum(pair.weight for pair in pairs if pair.prompt == prompt) == pytest.approx(1)


def test_the_preferred_image_comes_first(storage: Storage) -> None:
    for p in (1.0, 0.7):
        pairs = reward.pairs_of([row(storage, 1, p=p, images=2)])
        assert pairs[0].chosen.candidate == UUID(int=65)
        assert pairs[0].preferred == pytest.approx(p)


def test_nothing_to_learn_is_said_in_one_line(tmp_path: Path, storage: Storage) -> None:
    ties = write(tmp_path / "ties", [row(storage, 1, p=0.5)], storage)
    with pytest.raises(SnapshotEmptyError, match="ties only"):
        reward.train(config(ties, tmp_path / "out"))
    empty = write(tmp_path / "empty", [row(storage, 1, "test")], storage)
    with pytest.raises(SnapshotEmptyError, match="no pairs"):
        reward.train(config(empty, tmp_path / "out"))


def test_a_changed_image_is_refused(reds: Path, tmp_path: Path) -> None:
    image = next(snapshot.read(reds, "train")).images[0]
    snapshot.image_path(reds, image).write_bytes(painted(1, 1))
    with pytest.raises(SnapshotBrokenError, match="has changed"):
        reward.train(config(reds, tmp_path / "out", steps=40))


# -- what it learns ----------------------------------------------------------------------------------------------------


def test_it_learns_to_tell_held_out_pairs_apart_and_scores_as_it_learned(reds: Path, tmp_path: Path) -> None:
    points: list[MetricPoint] = []
    outcome = reward.train(config(reds, tmp_path / "out", steps=20, checkpoint_every=10), on_point=points.append)
    assert outcome.values["held_out_accuracy"] > 0.9
    assert outcome.adapter == tmp_path / "out" / "reward.safetensors"
    assert not outcome.interrupted
    held_out = [point for point in points if "held_out_loss" in point.values]
    assert [point.step for point in held_out] == [10, 20]
    assert held_out[-1].values["held_out_loss"] < math.log(2)

    scorer = reward_model.load(outcome.adapter)
    pictures = [Image.open(io.BytesIO(painted(red, 130))).convert("RGB") for red in (0, 110, 200)]
    scores = scorer.score(["a square nobody ever saw"] * 3, pictures)
    assert scores[0] < scores[1] < scores[2]


def test_a_stopped_training_goes_on_as_if_it_had_never_stopped(reds: Path, tmp_path: Path) -> None:
    whole = reward.train(config(reds, tmp_path / "whole"))
    asked = iter([False, False, True])
    first = reward.train(config(reds, tmp_path / "parts"), should_stop=lambda: next(asked))
    assert first.interrupted
    assert first.steps == 3
    second = reward.train(config(reds, tmp_path / "parts"))
    assert not second.interrupted
    assert second.steps == whole.steps
    one, other = (reward_model.load(each.adapter).model.state_dict() for each in (whole, second))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=0, msg=name)


def test_it_stops_early_where_held_out_pairs_are_told_apart_no_better(tmp_path: Path, storage: Storage) -> None:
    wrong = [row(storage, number, "validation", p=0.0) for number in range(8, 12)]
    folder = write(tmp_path / "contrary", [*(row(storage, number) for number in range(8)), *wrong], storage)
    outcome = reward.train(config(folder, tmp_path / "out", steps=20, checkpoint_every=1))
    assert "has not fallen" in outcome.stopped
    assert outcome.steps <= 20 - reward.PATIENCE


def test_a_loss_that_is_no_number_ends_it(reds: Path, tmp_path: Path) -> None:
    with pytest.raises(NotANumberError, match="Lower learning_rate"):
        reward.train(config(reds, tmp_path / "out", learning_rate=1e30, clip_norm=1e30, warmup_steps=0))


def test_a_folder_with_another_run_is_refused(reds: Path, tmp_path: Path) -> None:
    reward.train(config(reds, tmp_path / "out", steps=2))
    with pytest.raises(WrongConfigError, match="holds a run with seed 0"):
        reward.train(config(reds, tmp_path / "out", steps=2, seed=5))


def test_without_held_out_rows_it_trains_to_the_end_and_says_nothing_of_them(tmp_path: Path, storage: Storage) -> None:
    folder = write(tmp_path / "few", [row(storage, number) for number in range(3)], storage)
    outcome = reward.train(config(folder, tmp_path / "out", steps=4))
    assert outcome.steps == 4
    assert not any(name.startswith("held_out") for name in outcome.values)


def test_held_out_ties_have_a_loss_and_no_accuracy(tmp_path: Path, storage: Storage) -> None:
    ties = [row(storage, number, "validation", p=0.5) for number in range(8, 10)]
    folder = write(tmp_path / "tied", [*(row(storage, number) for number in range(3)), *ties], storage)
    outcome = reward.train(config(folder, tmp_path / "out", steps=4))
    assert {name for name in outcome.values if name.startswith("held_out")} == {"held_out_loss"}


def test_a_step_that_met_ties_only_has_no_accuracy(tmp_path: Path, storage: Storage) -> None:
    ties = [row(storage, number, p=0.5) for number in range(12)]
    folder = write(tmp_path / "mostly", [*ties, row(storage, 12, images=2)], storage)
    points: list[MetricPoint] = []
    outcome = reward.train(
        config(folder, tmp_path / "out", steps=6, batch=1, checkpoint_every=1), on_point=points.append
    )
    assert outcome.steps == 6
    assert any("loss" in point.values and "accuracy" not in point.values for point in points)


def test_settings_of_a_run_overrule_the_defaults(tmp_path: Path) -> None:
    from finetune.types import TrainSettings

    made = reward.config_of(tmp_path, tmp_path / "out", TrainSettings(steps=7, clip=0.5, seed=3))
    assert (made.steps, made.clip_norm, made.seed) == (7, 0.5, 3)
    assert made.batch == reward.Config(snapshot="", out="").batch


# -- on CLIP -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A tiny CLIP model with random weights, as a hub's folder holds it."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    tokenizer = words.learn(["a square number 1 2 3 4 5 6 7"])
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = sizes | {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": 8, "eos_token_id": 2}
    vision = sizes | {"image_size": 16, "patch_size": 8}
    encoders: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    folder = tmp_path / "clip"
    encoders.save_pretrained(folder)
    saved: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=words.PADDING)  # type: ignore[no-untyped-call]
    saved.save_pretrained(folder)
    looks: Any = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    looks.save_pretrained(folder)
    return folder


def test_on_a_clip_folder_only_the_head_learns(reds: Path, clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    assert reward_model.is_clip(clip)
    assert not reward_model.is_clip(reds)
    outcome = reward.train(config(reds, tmp_path / "out", clip=str(clip), steps=20, checkpoint_every=10))
    assert outcome.values["held_out_accuracy"] > 0.8
    made, given = load_file(outcome.adapter), load_file(clip / "model.safetensors")
    kept = [name for name in given if f"clip.{name}" in made]
    assert len(kept) > 20
    assert all(torch.equal(given[name], made[f"clip.{name}"]) for name in kept)
    scorer = reward_model.load(outcome.adapter)
    assert len(scorer.score(["a square"], [Image.new("RGB", (40, 30))])) == 1


def test_a_folder_without_clip_is_refused(reds: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongBaseError, match="no CLIP model"):
        reward.train(config(reds, tmp_path / "out", clip=str(tmp_path)))


# -- the file ----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "adapter.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WrongBaseError, match="no reward model"):
        reward_model.load(path)
    path.write_bytes(b"not at all")
    with pytest.raises(WrongBaseError, match="cannot be read"):
        reward_model.load(path)


def test_a_reward_model_is_found_in_storage_and_among_the_model_folders(
    tmp_path: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = reward_model.fresh(["a cat"], None, seed=1)
    (tmp_path / "models" / "liked").mkdir(parents=True)
    path = tmp_path / "models" / "liked" / reward_model.FILE
    reward_model.save(scorer, path)
    monkeypatch.setenv("EASEL_MODEL_PATH", str(tmp_path / "models"))
    key = storage.put(path.read_bytes(), "safetensors")
    picture = Image.new("RGB", (64, 64), (200, 10, 10))
    for location in (f"storage:{key}", "folder:liked"):
        reference = ModelReference(id=UUID(int=1), name="Liked", location=location)
        found = reward_model.load(reward_model.find(reference, storage, tmp_path / "fetched"))
        assert found.score(["a cat"], [picture]) == pytest.approx(scorer.score(["a cat"], [picture]))
    missing = ModelReference(id=UUID(int=1), name="Liked", location="folder:gone")
    with pytest.raises(WrongBaseError, match="Liked"):
        reward_model.find(missing, storage, tmp_path)


def test_the_command_line_trains_and_refuses_in_one_line(
    reds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [*("--snapshot", str(reds)), *("--out", str(tmp_path / "out")), *("--steps", "2"), *("--batch", "4")]
    assert reward.main(said) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["step"] == 2
    assert reward.main([*said, "--seed", "1"]) == 2
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert "seed" in refused


def test_the_shipped_configuration_names_every_knob(tmp_path: Path) -> None:
    import yaml

    path = Path(reward.__file__).parent / "configs" / "reward.yaml"
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = replace(reward.Config(snapshot="", out=""))
    assert said == {name: getattr(defaults, name) for name in said}
    assert set(said) | {"snapshot", "out"} == set(reward.Config.__dataclass_fields__)
