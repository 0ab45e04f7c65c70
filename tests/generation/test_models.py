"""Models that are not loaded: each is refused with a code and a reason, and nothing that came with it runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from generation import pipelines
from generation.engine import Engine
from generation.errors import (
    ModelBrokenError,
    ModelNotFoundError,
    RenderError,
    WeightsChangedError,
    WrongPipelineError,
)
from generation.storage import weights_hash
from generation.types import ModelReference
from tests.generation.conftest import Ask, Render, id_of, reference

UNET = Path("unet/diffusion_pytorch_model.safetensors")


class Canary:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def _refusal(kind: type[RenderError], model: ModelReference | None = None) -> str:
    with pytest.raises(kind) as refused:
        Engine().load(model or reference("tiny"))
    return str(refused.value)


def _change_index(folder: Path, **changes: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_model_that_is_not_there(own_models: Path) -> None:
    reason = _refusal(ModelNotFoundError, reference("absent"))
    assert "'absent'" in reason
    assert str(own_models) in reason


def test_a_hub_model_that_is_not_in_the_cache_is_not_fetched(own_models: Path) -> None:
    model = ModelReference(id=id_of("hub"), name="Hub", location="hub:nobody/nothing")
    assert "`hf download nobody/nothing`" in _refusal(ModelNotFoundError, model)


def test_a_hub_model_in_the_cache_is_loaded_from_there(
    own_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "hub"
    snapshot = cache / "models--somebody--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(own_models / "tiny", snapshot)
    (cache / "models--somebody--tiny" / "refs").mkdir()
    (cache / "models--somebody--tiny" / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    model = ModelReference(id=id_of("hub"), name="Hub", location="hub:somebody/tiny")
    assert Engine().load(model).sha256 == weights_hash(own_models / "tiny")


def test_weights_other_than_the_registered_ones(own_models: Path) -> None:
    registered = weights_hash(own_models / "tiny")
    engine = Engine()
    engine.load(reference("tiny", registered))

    weights = load_file(own_models / "tiny" / UNET)
    weights["conv_in.bias"] += 1
    save_file(weights, own_models / "tiny" / UNET)
    with pytest.raises(WeightsChangedError, match=registered[:12]):  # although the pipeline is still warm
        engine.load(reference("tiny", registered))
    assert engine.load(reference("tiny")).sha256 == weights_hash(own_models / "tiny") != registered


def test_a_warm_model_is_compared_with_what_each_request_registers(own_models: Path) -> None:
    engine = Engine()
    warm = engine.load(reference("tiny"))
    assert engine.load(reference("tiny", warm.sha256)) is warm
    with pytest.raises(WeightsChangedError):
        engine.load(reference("tiny", "0" * 64))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"_diffusers_version": "0.42.1"}'])
def test_an_index_that_cannot_be_read(own_models: Path, text: str) -> None:
    (own_models / "tiny" / "model_index.json").write_text(text)
    assert "model_index.json" in _refusal(ModelBrokenError)


@pytest.mark.parametrize(
    "name", ["StableDiffusionInpaintPipeline", "DDPMPipeline", "StableDiffusionControlNetPipeline", "os", ["x", "Y"]]
)
def test_a_class_that_makes_no_images_from_text(own_models: Path, name: object) -> None:
    _change_index(own_models / "tiny", _class_name=name)
    assert "is no text-to-image pipeline" in _refusal(WrongPipelineError)


@pytest.mark.parametrize("library", ["canary", "os", "torch", "builtins", 7])
def test_a_part_from_another_library(
    own_models: Path, library: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, own_models / "tiny", own_models / "tiny" / "unet"):
        (folder / "canary.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    _change_index(own_models / "tiny", unet=[library, "UNet2DConditionModel"])
    assert "Only classes of diffusers and transformers" in _refusal(WrongPipelineError)
    assert not (tmp_path / "trace").exists()


def test_pickled_weights(own_models: Path, tmp_path: Path) -> None:
    path = own_models / "tiny" / UNET
    path.unlink()
    with path.with_suffix(".bin").open("wb") as file:
        pickle.dump(Canary(tmp_path / "trace"), file)
    assert "unet/diffusion_pytorch_model.bin is pickled" in _refusal(ModelBrokenError)
    assert not (tmp_path / "trace").exists()


def test_pickled_weights_beside_good_ones_are_left_alone(own_models: Path, tmp_path: Path) -> None:
    with (own_models / "tiny" / UNET).with_suffix(".bin").open("wb") as file:
        pickle.dump(Canary(tmp_path / "trace"), file)
    Engine().load(reference("tiny"))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("part", ["unet", "text_encoder", "tokenizer", "scheduler"])
def test_a_part_that_is_missing(own_models: Path, part: str) -> None:
    shutil.rmtree(own_models / "tiny" / part)
    assert f"has no folder '{part}'" in _refusal(ModelBrokenError)


@pytest.mark.parametrize("path", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_weights_that_end_too_soon(own_models: Path, path: str) -> None:
    file = own_models / "tiny" / path
    file.write_bytes(file.read_bytes()[:-1000])
    assert "cannot be loaded" in _refusal(ModelBrokenError)


@pytest.mark.parametrize("path", ["unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"])
def test_weights_with_a_gap_that_the_loaders_would_fill_with_noise(own_models: Path, path: str) -> None:
    weights = load_file(own_models / "tiny" / path)
    del weights[max(weights, key=lambda name: weights[name].numel())]
    save_file(weights, own_models / "tiny" / path, metadata={"format": "pt"})
    reason = _refusal(ModelBrokenError)
    assert path.partition("/")[0] in reason
    assert "weights. Copy it again." in reason


def test_weights_that_make_no_numbers(own_models: Path, ask: Ask, render: Render) -> None:
    weights = load_file(own_models / "tiny" / UNET)
    weights["conv_in.bias"][:] = torch.nan
    save_file(weights, own_models / "tiny" / UNET)
    with pytest.raises(ModelBrokenError, match="no numbers"):
        render(ask({"apple": [1]}), Engine())


def test_half_precision_weights_are_loaded_in_full_precision_on_a_cpu(
    own_models: Path, ask: Ask, render: Render
) -> None:
    for path in (own_models / "tiny").rglob("*.safetensors"):
        save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    (image,) = render(ask({"apple": [1]}), Engine(device=torch.device("cpu"))).values()
    assert image.manifest.dtype == "float32"


@pytest.mark.parametrize(
    ("text", "where"), [("{", "the file"), ('{"steps": 0}', "steps"), ('{"guidance_scale": "much"}', "guidance_scale")]
)
def test_defaults_that_make_no_sense(own_models: Path, text: str, where: str) -> None:
    (own_models / "tiny" / "defaults.json").write_text(text)
    assert f"defaults.json, {where}:" in _refusal(ModelBrokenError)


def test_a_model_without_defaults_gets_those_of_its_class(own_models: Path, ask: Ask, render: Render) -> None:
    (own_models / "tiny" / "defaults.json").unlink()
    (image,) = render(ask({"apple": [1]}), Engine()).values()
    assert (image.manifest.steps, image.manifest.guidance_scale) == (30, 7.5)


def test_a_model_may_have_a_size_of_its_own(own_models: Path, ask: Ask, render: Render) -> None:
    (own_models / "tiny" / "defaults.json").write_text('{"steps": 1, "width": 32, "height": 24, "note": "ignored"}')
    engine = Engine()
    (own,) = render(ask({"apple": [1]}), engine).values()
    (asked,) = render(ask({"apple": [1]}, width=16), engine).values()
    assert (own.width, own.height, asked.width, asked.height) == (32, 24, 16, 24)


def _leave_code(tmp_path: Path, *paths: Path) -> Path:
    """Write modules that leave a trace when they are imported, and return the trace."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"open({str(tmp_path / 'trace')!r}, 'w')\nclass Evil:\n    pass\nclass UNet2DConditionModel:\n    pass\n"
        )
    return tmp_path / "trace"


@pytest.mark.parametrize(
    "name",
    ["os.system", "utils", "__builtins__", "pipeline", "load_tool", "UNet2DConditionModel.from_pretrained", "", 7],
)
@pytest.mark.parametrize("library", ["diffusers", "transformers", "stable_diffusion"])
def test_a_part_that_is_no_class_of_its_library(own_models: Path, library: str, name: object) -> None:
    _change_index(own_models / "tiny", unet=[library, name])
    with pytest.raises((WrongPipelineError, ModelBrokenError)) as refused:
        Engine().load(reference("tiny"))
    assert "'Tiny'" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [["pipeline", "Evil"], "pipeline.Evil", "Evil", "pipeline"])
def test_a_pipeline_that_came_with_the_folder_runs_nothing(own_models: Path, tmp_path: Path, name: object) -> None:
    folder = own_models / "tiny"
    trace = _leave_code(tmp_path, folder / "pipeline.py", folder / "Evil.py", folder / "__init__.py")
    _change_index(folder, _class_name=name)
    assert "is no text-to-image pipeline" in _refusal(WrongPipelineError)
    assert not trace.exists()


def test_modules_beside_the_weights_are_not_imported(own_models: Path, tmp_path: Path) -> None:
    folder = own_models / "tiny"
    parts = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
    names = ("__init__", "modeling", "unet", "unet_2d_condition", "modeling_clip", "tokenization_clip")
    trace = _leave_code(tmp_path, *(folder / part / f"{name}.py" for part in parts for name in names))
    _leave_code(tmp_path, *(folder / f"{name}.py" for name in ("pipeline", "diffusers", "handler")))
    Engine().load(reference("tiny"))
    assert not trace.exists()


@pytest.mark.parametrize("path", ["unet/diffusers.py", "vae/diffusers.py", "text_encoder/transformers.py"])
def test_a_part_that_brings_its_own_library_is_refused(own_models: Path, tmp_path: Path, path: str) -> None:
    trace = _leave_code(tmp_path, own_models / "tiny" / path)
    reason = _refusal(WrongPipelineError)
    assert f"{path} is code" in reason
    assert not trace.exists()


@pytest.mark.parametrize("auto", ["AutoModel", "CLIPTextModel"])
def test_a_part_that_asks_for_remote_code_does_not_get_it(own_models: Path, tmp_path: Path, auto: str) -> None:
    folder = own_models / "tiny"
    trace = _leave_code(tmp_path, folder / "text_encoder" / "modeling.py", folder / "tokenizer" / "modeling.py")
    for path, kind in (("text_encoder/config.json", "AutoModel"), ("tokenizer/tokenizer_config.json", "AutoTokenizer")):
        config = json.loads((folder / path).read_text())
        config["auto_map"] = {kind: "modeling.Evil", "AutoConfig": "modeling.Evil"}
        config["trust_remote_code"] = True
        (folder / path).write_text(json.dumps(config | ({"model_type": "evil"} if auto == "AutoModel" else {})))
    _change_index(folder, text_encoder=["transformers", auto], trust_remote_code=True, _trust_remote_code=True)
    try:
        Engine().load(reference("tiny"))
    except ModelBrokenError as error:
        assert "cannot be loaded" in str(error)  # loading it without its code is as good an answer
    assert not trace.exists()


def test_a_pickle_that_is_called_safetensors_runs_nothing(own_models: Path, tmp_path: Path) -> None:
    with (own_models / "tiny" / UNET).open("wb") as file:
        pickle.dump(Canary(tmp_path / "trace"), file)
    assert "cannot be loaded" in _refusal(ModelBrokenError)
    assert not (tmp_path / "trace").exists()


def test_a_hub_model_brings_no_code_and_no_pickles() -> None:
    for name in ("pipeline.py", "pytorch_model.bin", "unet/model.ckpt", "weights.pt", "x.pkl"):
        assert not any(Path(name).match(pattern) for pattern in pipelines._HUB_FILES)
