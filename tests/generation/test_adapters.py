"""LoRA adapters: on for the requests that name them, off without a trace, refused where they do not fit."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from generation.engine import Engine
from generation.errors import (
    ModelNotFoundError,
    RenderError,
    WeightsChangedError,
    WrongAdapterError,
)
from generation.storage import ADAPTER_FILE, weights_hash
from generation.types import AdapterReference, ModelReference
from tests.generation.conftest import Ask, Render, adapter, reference
from tests.generation.test_models import Canary
from tests.generation.tiny import save_tiny_adapter


def _with(base: str, *adapters: AdapterReference) -> ModelReference:
    return reference(base).model_copy(update={"adapters": adapters})


@pytest.fixture
def own_adapter(own_models: Path, tiny_models: Path) -> Path:
    """The adapter `folder:tiny-lora`, in a model folder that this test may spoil."""
    return Path(shutil.copytree(tiny_models / "tiny-lora", own_models / "tiny-lora"))


def _refusal(kind: type[RenderError], model: ModelReference) -> str:
    engine = Engine()
    with pytest.raises(kind) as refused:
        engine.load(model)
    assert engine._loaded == {}, "a pipeline that is half changed was kept"
    return str(refused.value)


@pytest.mark.parametrize("family", ["tiny", "xl", "sd3", "flux"])
def test_an_adapter_changes_the_images_and_leaves_those_of_the_base_bitwise_as_they_were(
    family: str, ask: Ask, render: Render
) -> None:
    engine = Engine()
    plain = ask({"apple": [1, 2]}, model=reference(family))
    adapted = ask({"apple": [1, 2]}, model=_with(family, adapter(f"{family}-lora")))
    before = render(plain, engine)
    with_adapter = render(adapted, engine)
    assert {image.key for image in before.values()}.isdisjoint(image.key for image in with_adapter.values())
    assert render(plain, engine) == before
    assert render(adapted, engine) == with_adapter == render(adapted, Engine())
    assert [each.name for each in with_adapter["apple", 0].manifest.adapters] == [f"{family.capitalize()}-lora"]
    assert before["apple", 0].manifest.adapters == ()


def test_an_adapter_counts_as_strongly_as_its_scale_says(ask: Ask, render: Render) -> None:
    plain = render(ask({"apple": [1]}))
    keys = {}
    for scale in (0.0, 0.5, 1.0, -1.0):
        (image,) = render(ask({"apple": [1]}, model=_with("tiny", adapter("tiny-lora", scale)))).values()
        assert image.manifest.adapters[0].scale == scale
        keys[scale] = image.key
    assert keys[0.0] == plain["apple", 0].key
    assert len(set(keys.values())) == 4


def test_several_adapters_work_together(ask: Ask, render: Render) -> None:
    one, other = adapter("tiny-lora", 0.5), adapter("tiny-lora-2", 0.5)
    keys = {
        render(ask({"apple": [1]}, model=_with("tiny", *adapters)))["apple", 0].key
        for adapters in ((one,), (other,), (one, other), (one, adapter("tiny-lora-2", 1.0)))
    }
    assert len(keys) == 4


def test_what_an_adapter_adds_is_what_diffusers_adds(ask: Ask, render: Render, models: Path) -> None:
    engine = Engine()
    render(ask({"apple": [1]}, model=_with("tiny", adapter("tiny-lora", 0.5))), engine)
    layer = engine.load(_with("tiny", adapter("tiny-lora", 0.5))).pipe.unet.mid_block.attentions[0]
    query = layer.transformer_blocks[0].attn1.to_q
    stored = load_file(models / "tiny-lora" / ADAPTER_FILE)
    path = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    down, up = stored[f"{path}.lora_A.weight"], stored[f"{path}.lora_B.weight"]
    states = torch.randn(3, 16)
    expected = query.base_layer(states) + 0.5 * (4 / 2) * states @ down.T @ up.T  # alpha 4 over rank 2
    assert torch.allclose(query(states), expected, atol=1e-5)


def test_a_warm_adapter_is_loaded_again_once_its_file_changes(own_adapter: Path, ask: Ask, render: Render) -> None:
    engine = Engine()
    request = ask({"apple": [1]}, model=_with("tiny", adapter("tiny-lora")))
    first = render(request, engine)
    weights = load_file(own_adapter / ADAPTER_FILE)
    save_file({name: tensor * 2 for name, tensor in weights.items()}, own_adapter / ADAPTER_FILE)
    assert render(request, engine) != first


def test_a_half_precision_adapter_works_on_a_cpu(own_models: Path, ask: Ask, render: Render) -> None:
    save_tiny_adapter(own_models / "half", own_models / "tiny", half=True)
    (image,) = render(ask({"apple": [1]}, model=_with("tiny", adapter("half"))), Engine()).values()
    assert image.manifest.dtype == "float32"


def test_an_adapter_that_is_not_there(models: Path) -> None:
    reason = _refusal(ModelNotFoundError, _with("tiny", adapter("absent")))
    assert "'absent'" in reason
    assert ADAPTER_FILE in reason


@pytest.mark.parametrize("name", ["xl-lora", "flux-lora", "sd3-lora"])
def test_an_adapter_of_another_family(models: Path, name: str) -> None:
    reason = _refusal(WrongAdapterError, _with("tiny", adapter(name)))
    assert f"'{name.capitalize()}' of folder:{name} does not fit this StableDiffusionPipeline" in reason
    assert "\n" not in reason


def test_an_adapter_that_fits_in_part_only(own_adapter: Path) -> None:
    weights = load_file(own_adapter / ADAPTER_FILE)
    for name in list(weights):
        if "mid_block" in name:
            weights[name.replace("mid_block", "other_block")] = weights.pop(name)
    save_file(weights, own_adapter / ADAPTER_FILE)
    assert "does not fit" in _refusal(WrongAdapterError, _with("tiny", adapter("tiny-lora")))


def test_an_adapter_without_weights(own_adapter: Path) -> None:
    save_file({}, own_adapter / ADAPTER_FILE)
    assert "does not fit" in _refusal(WrongAdapterError, _with("tiny", adapter("tiny-lora")))


def test_a_family_that_takes_no_adapters(models: Path) -> None:
    reason = _refusal(WrongAdapterError, _with("pixart", adapter("tiny-lora")))
    assert "no adapters on a PixArtSigmaPipeline" in reason


def test_an_adapter_other_than_the_registered_one(own_adapter: Path) -> None:
    registered = weights_hash(own_adapter)
    Engine().load(_with("tiny", adapter("tiny-lora", sha256=registered)))
    save_file(
        {name: tensor + 1 for name, tensor in load_file(own_adapter / ADAPTER_FILE).items()},
        own_adapter / ADAPTER_FILE,
    )
    assert registered[:12] in _refusal(WeightsChangedError, _with("tiny", adapter("tiny-lora", sha256=registered)))


def test_an_adapter_file_that_ends_too_soon(own_adapter: Path) -> None:
    path = own_adapter / ADAPTER_FILE
    path.write_bytes(path.read_bytes()[:-10])
    assert "no whole safetensors file" in _refusal(WrongAdapterError, _with("tiny", adapter("tiny-lora")))


@pytest.mark.parametrize("name", [ADAPTER_FILE, "pytorch_lora_weights.bin"])
def test_a_pickled_adapter_runs_nothing(own_adapter: Path, tmp_path: Path, name: str) -> None:
    (own_adapter / ADAPTER_FILE).unlink()
    with (own_adapter / name).open("wb") as file:
        pickle.dump(Canary(tmp_path / "trace"), file)
    _refusal(WrongAdapterError if name == ADAPTER_FILE else ModelNotFoundError, _with("tiny", adapter("tiny-lora")))
    assert not (tmp_path / "trace").exists()


def test_a_pickle_and_code_beside_a_good_adapter_are_left_alone(own_adapter: Path, tmp_path: Path) -> None:
    for name in ("pytorch_lora_weights.bin", "adapter_model.bin"):
        with (own_adapter / name).open("wb") as file:
            pickle.dump(Canary(tmp_path / "trace"), file)
    for name in ("pipeline.py", "__init__.py", "pytorch_lora_weights.py"):
        (own_adapter / name).write_text(f"open({str(tmp_path / 'trace')!r}, 'w')")
    Engine().load(_with("tiny", adapter("tiny-lora")))
    assert not (tmp_path / "trace").exists()


def test_a_broken_adapter_costs_its_request_alone(own_adapter: Path, ask: Ask, render: Render) -> None:
    engine = Engine()
    before = render(ask({"apple": [1]}), engine)
    save_file({"unet.nothing.lora_A.weight": torch.ones(2, 2)}, own_adapter / ADAPTER_FILE)
    with pytest.raises(WrongAdapterError):
        render(ask({"apple": [1]}, model=_with("tiny", adapter("tiny-lora"))), engine)
    assert render(ask({"apple": [1]}), engine) == before
