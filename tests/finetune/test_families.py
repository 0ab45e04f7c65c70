"""Every kind of base model: what it predicts, its adapter, and the network without it as the reference."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from finetune import adapters, opening
from finetune.errors import WrongBaseError
from finetune.prediction import Predictor, Text, errors, predictor_of
from generation import prompts
from tests.finetune.tiny import save_tiny_v_model
from tests.generation.tiny import diffusers, save_tiny_pixart_model

CPU = torch.device("cpu")
CHANNELS = {"v": 4, "epsilon": 4, "xl": 4, "sd3": 16, "flux": 4}
Inputs = tuple[Tensor, Tensor, Tensor, Text]


def open_family(bases: Path, family: str) -> tuple[Any, Predictor, list[torch.nn.Parameter]]:
    """Return a pipeline, its predictor, and the parameters of a fresh adapter on it."""
    pipe = opening.load_base(bases / family, [], CPU).pipe
    predictor = predictor_of(pipe)
    targets = adapters.ATTENTION + (adapters.BESIDE_ATTENTION if family == "v" else ())
    return pipe, predictor, adapters.put_on(predictor.network, rank=2, alpha=3.0, targets=targets, seed=0)


def inputs_of(pipe: Any, predictor: Predictor, family: str, dtype: torch.dtype = torch.float32) -> Inputs:
    """Return latents, noise, times and text of two images."""
    source = torch.Generator().manual_seed(3)
    latents, noise = (torch.randn(2, CHANNELS[family], 8, 8, generator=source) for _ in range(2))
    encoded = [prompts.encode(pipe, text, "", guided=False) or {} for text in ("apple", "bird")]
    text = {name: torch.cat([one[name] for one in encoded]).to(dtype) for name in encoded[0]}
    return latents, noise, predictor.times(torch.tensor([0.3, 0.8])), text


def disturb(parameters: list[torch.nn.Parameter]) -> None:
    """Give an adapter something to say."""
    source = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=source))


@pytest.fixture(params=CHANNELS)
def family(request: pytest.FixtureRequest) -> Iterator[str]:
    yield str(request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_fresh_adapter_changes_not_a_bit(bases: Path, family: str, dtype: torch.dtype) -> None:
    pipe, predictor, parameters = open_family(bases, family)
    for module in predictor.network.modules():  # as a half precision folder is loaded: the adapter stays float32
        for parameter in module.parameters(recurse=False):
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
    predictor = predictor_of(pipe)
    latents, noise, times, text = inputs_of(pipe, predictor, family, dtype)
    with adapters.reference(predictor.network):
        reference = predictor.residual(latents, noise, times, text)
    policy = predictor.residual(latents, noise, times, text)
    assert policy.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in parameters)
    assert torch.equal(policy, reference)
    assert errors(policy).shape == (2,)


def test_the_residual_is_prediction_minus_target(bases: Path, family: str) -> None:
    """With a network that predicts nothing at all, minus the target is left: it is checked against diffusers' own."""
    pipe, predictor, _ = open_family(bases, family)
    latents, noise, times, text = inputs_of(pipe, predictor, family)
    heard: list[Tensor] = []

    def silence(module: Any, given: Any, named: dict[str, Any], made: Any) -> Any:
        heard.append(given[0] if given else named["hidden_states"])
        return (torch.zeros_like(made[0]),)

    handle = predictor.network.register_forward_hook(silence, with_kwargs=True)
    residual = predictor.residual(latents, noise, times, text)
    handle.remove()
    scheduler = pipe.scheduler
    if family in {"sd3", "flux"}:
        target = noise - latents
        scheduler.set_timesteps(sigmas=times.tolist()[::-1])
        noised = scheduler.scale_noise(latents.flip(0), scheduler.timesteps, noise.flip(0)).flip(0)
    else:
        target = scheduler.get_velocity(latents, noise, times) if family == "v" else noise
        noised = scheduler.add_noise(latents, noise, times)
    if family == "flux":
        noised = type(pipe)._pack_latents(noised, 2, 4, 8, 8)
    assert torch.allclose(-residual, target, atol=1e-5)
    assert torch.allclose(heard[0], noised, atol=1e-5)


def test_the_prediction_is_that_of_the_pipelines_own_call(bases: Path, family: str) -> None:
    """What the pipeline asks of its network at its first step, with the arguments that it gives."""
    pipe, predictor, _ = open_family(bases, family)
    asked: list[tuple[dict[Any, Any], Tensor]] = []

    def listen(module: Any, given: Any, named: dict[str, Any], made: Any) -> None:
        if not asked:
            asked.append((dict(named) | dict(enumerate(given)), made[0]))

    source = torch.Generator().manual_seed(1)
    noise = torch.randn(1, CHANNELS[family], 8, 8, generator=source)
    start = type(pipe)._pack_latents(noise, 1, 4, 8, 8) if family == "flux" else noise
    scale = {"guidance_scale": 1.0}  # nothing beside the prompt is predicted
    handle = predictor.network.register_forward_hook(listen, with_kwargs=True)
    pipe("apple", num_inference_steps=2, width=16, height=16, latents=start, output_type="latent", **scale)
    handle.remove()
    named, predicted = asked[0]
    time = torch.as_tensor(named.get("timestep", named.get(1))).reshape(-1)[:1].float()
    if family == "sd3":
        time = time / 1000
    elif family != "flux":
        time = time.long()
    text = prompts.encode(pipe, "apple", "", guided=False) or {}
    if family in {"sd3", "flux"}:
        latents = noise  # noise is all that there is, whatever the time
        made = predictor.residual(latents, noise, time, text) + (noise - latents)
    else:
        kept = predictor._alphas[time].view(-1, 1, 1, 1)  # type: ignore[attr-defined]
        # So that the noised latents are the noise; at the last time of a zero terminal SNR they are anyway.
        latents = (noise * (1 - (1 - kept).sqrt()) / kept.sqrt()).nan_to_num(0)
        target = (
            kept.sqrt() * noise - (1 - kept).sqrt() * latents
            if pipe.scheduler.config.prediction_type[0] == "v"
            else noise
        )
        made = predictor.residual(latents, noise, time, text) + target
    if family == "flux":
        predicted = type(pipe)._unpack_latents(predicted, 16, 16, 2)
    assert torch.allclose(made, predicted, atol=2e-4)


def test_times_are_spread_as_the_model_was_trained(bases: Path) -> None:
    uniform = torch.linspace(0.0005, 0.9995, 1000)
    _, diffusion, _ = open_family(bases, "epsilon")
    assert diffusion.times(uniform).tolist() == list(range(1000))
    _, flow, _ = open_family(bases, "flux")
    sigma = flow.times(uniform)
    assert sigma.median().item() == pytest.approx(0.5, abs=1e-3)
    assert (sigma.logit().std().item(), sigma.logit().mean().item()) == pytest.approx((1.0, 0.0), abs=0.02)
    pipe = opening.load_base(bases / "sd3", [], CPU).pipe
    pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert predictor_of(pipe).times(torch.tensor([0.5])).item() == pytest.approx(3 * 0.5 / (1 + 2 * 0.5))


def test_without_its_adapter_the_network_is_the_base_and_with_it_again_the_policy(bases: Path, family: str) -> None:
    pipe, predictor, parameters = open_family(bases, family)
    given = inputs_of(pipe, predictor, family)
    before = predictor.residual(*given).detach()
    disturb(parameters)
    taught = predictor.residual(*given).detach()
    assert not torch.allclose(before, taught)
    with adapters.reference(predictor.network):
        assert torch.equal(predictor.residual(*given), before)
    assert torch.equal(predictor.residual(*given), taught)


def test_whatever_happens_within_the_reference_the_adapter_is_on_and_learns_afterwards(bases: Path) -> None:
    pipe, predictor, parameters = open_family(bases, "v")
    given = inputs_of(pipe, predictor, "v")
    disturb(parameters)
    parameters[0].requires_grad_(False)  # somebody's choice, which is kept
    taught = predictor.residual(*given).detach()
    with pytest.raises(RuntimeError, match="in the middle"), adapters.reference(predictor.network):
        raise RuntimeError("in the middle")
    assert torch.is_grad_enabled()
    assert [parameter.requires_grad for parameter in parameters] == [False] + [True] * (len(parameters) - 1)
    assert torch.equal(predictor.residual(*given), taught)


def test_a_step_may_look_at_the_reference_between_forward_and_backward(bases: Path) -> None:
    """With gradient checkpointing the network runs again on the way back, and must do so with its adapter."""
    found = []
    for checkpointing in (False, True):
        pipe, predictor, parameters = open_family(bases, "v")
        disturb(parameters)
        if checkpointing:
            predictor.network.enable_gradient_checkpointing()
        given = inputs_of(pipe, predictor, "v")
        policy = errors(predictor.residual(*given))
        with adapters.reference(predictor.network):
            reference = errors(predictor.residual(*given))
        (policy - reference).sum().backward()  # type: ignore[no-untyped-call]
        found.append([parameter.grad for parameter in parameters])
    for plain, checkpointed in zip(*found, strict=True):
        assert plain is not None
        assert checkpointed is not None
        assert torch.allclose(plain, checkpointed, atol=1e-6)


def test_a_saved_adapter_is_what_diffusers_loads(bases: Path, family: str, tmp_path: Path) -> None:
    pipe, predictor, parameters = open_family(bases, family)
    disturb(parameters)
    given = inputs_of(pipe, predictor, family)
    taught = predictor.residual(*given).detach()
    adapters.save(pipe, predictor.part, tmp_path)

    plain = getattr(diffusers, type(pipe).__name__).from_pretrained(bases / family, dtype=torch.float32)
    plain.load_lora_weights(tmp_path)
    assert torch.allclose(predictor_of(plain).residual(*given), taught, atol=1e-5)

    fused = opening.load_base(bases / family, [str(tmp_path)], CPU).pipe
    assert torch.allclose(predictor_of(fused).residual(*given), taught, atol=1e-5)
    half = opening.load_base(bases / family, [f"{tmp_path}@0.5"], CPU).pipe
    assert not torch.allclose(predictor_of(half).residual(*given), taught, atol=1e-5)

    adapters.load(predictor.network, predictor.part, tmp_path / "pytorch_lora_weights.safetensors")
    assert torch.equal(predictor.residual(*given), taught)


def test_an_adapter_of_another_base_is_refused_in_one_line(bases: Path, tmp_path: Path) -> None:
    pipe, predictor, parameters = open_family(bases, "sd3")
    disturb(parameters)
    adapters.save(pipe, predictor.part, tmp_path)
    with pytest.raises(
        WrongBaseError, match=r"^adapter '.*' does not fit the base StableDiffusionPipeline: .* base\.$"
    ):
        opening.load_base(bases / "v", [str(tmp_path)], CPU)
    with pytest.raises(WrongBaseError, match="does not fit"):
        opening.load_base(bases / "v", [str(tmp_path / "nothing")], CPU)


def test_a_base_that_no_trainer_knows_is_refused(bases: Path, tmp_path: Path) -> None:
    save_tiny_pixart_model(tmp_path / "pixart")
    with pytest.raises(WrongBaseError, match=r"a PixArtSigmaPipeline cannot be fine-tuned here\. Choose"):
        opening.load_base(tmp_path / "pixart", [], CPU)
    with pytest.raises(WrongBaseError, match=r"has no model_index\.json\. Choose another base"):
        opening.load_base(tmp_path, [], CPU)
    save_tiny_v_model(tmp_path / "sample")
    config = tmp_path / "sample" / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("v_prediction", "sample"))
    with pytest.raises(WrongBaseError, match="the base predicts 'sample'"):
        opening.load_base(tmp_path / "sample", [], CPU)
    shutil.copytree(bases / "v", tmp_path / "torn")
    (tmp_path / "torn" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    with pytest.raises(WrongBaseError, match="cannot be loaded"):
        opening.load_base(tmp_path / "torn", [], CPU)
