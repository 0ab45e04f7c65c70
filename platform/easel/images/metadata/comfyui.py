"""ComfyUI: the graph of nodes that made the image, in the text `prompt`; `workflow` is the same as the editor shows it.

A graph may sample several times: each pass stands in `extra["passes"]`. What the image is *of* was decided by the first
pass of its chain, or, where several first passes were pasted together, by the pass that merged them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from easel.images.metadata.model import (
    BrokenMetadata,
    ImageMetadata,
    load_object,
    number,
    size,
    text_of,
    whole,
)

MAX_NODES = 2_000
MAX_PASSES = 50
_TEXTS = (
    "text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "string", "string_a", "string_b", "value",
    "populated_text",
)  # fmt: skip
_NO_TEXT = {
    "clip", "model", "vae", "image", "images", "mask", "control_net", "clip_vision", "clip_vision_output",
    "style_model", "latent", "latent_image", "samples", "pixels",
}  # fmt: skip
_MODELS = ("ckpt_name", "unet_name", "model_name", "ckpt", "model")
_LATENT = ("latent_image", "latent", "samples", "samples_to", "samples1", "samples_from", "samples2", "image", "pixels")
# The editor's form keeps values without names, in the order in which it shows them.
_WIDGETS = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "UNETLoader": ("unet_name",),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "FluxGuidance": ("guidance",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
}


def is_comfyui(texts: Mapping[str, str]) -> bool:
    """Tell whether ComfyUI wrote these texts."""
    return bool(_graphs(texts))


def as_text(graph: Any) -> str:
    """Return a graph that stood inside other JSON as the text that it is elsewhere."""
    return json.dumps(graph)


def _graphs(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts `prompt` and `workflow`; in WebP and JPEG files they stand in EXIF, behind their names."""
    found = {name: texts[name] for name in ("prompt", "workflow") if texts.get(name, "").lstrip().startswith("{")}
    for tag in ("ImageDescription", "Make", "Model", "UserComment"):
        name, _, text = texts.get(tag, "").partition(":")
        if name.lower() in {"prompt", "workflow"} and text.lstrip().startswith("{"):
            found.setdefault(name.lower(), text)
    return found


def read(texts: Mapping[str, str]) -> ImageMetadata:
    """Read the graph. Raises BrokenMetadata where nothing in it samples."""
    found = _graphs(texts)
    if "prompt" in found:
        graph = Graph(load_object(found["prompt"], "ComfyUI's prompt"))
    else:
        graph = Graph(_from_editor(load_object(found["workflow"], "ComfyUI's workflow")))
    passes = [graph.sampling(node) for node in graph.samplers[:MAX_PASSES]]
    if not passes:
        raise BrokenMetadata("ComfyUI's graph holds no sampler that could be read.")
    main = graph.sampling(graph.main())
    width, height = graph.size_of(graph.main())
    extra = {name: main[name] for name in ("scheduler", "denoise", "loras") if main[name] not in (None, "", [])}
    if len(passes) > 1:
        extra["passes"] = passes
    return ImageMetadata(
        generator="ComfyUI",
        prompt=main["prompt"],
        negative=main["negative"],
        model_name=main["model"],
        seed=main["seed"],
        steps=main["steps"],
        guidance=main["guidance"],
        sampler=main["sampler"],
        width=width,
        height=height,
        extra=extra,
    )


class Graph:
    """Nodes by id; an input is a value, or a link [id, output] to another node."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        if len(nodes) > MAX_NODES:
            raise BrokenMetadata(f"ComfyUI's graph has more than {MAX_NODES:,} nodes.")
        self._inputs: dict[str, dict[str, Any]] = {}
        self._types: dict[str, str] = {}
        for key, node in nodes.items():
            if isinstance(node, dict) and isinstance(node.get("inputs"), dict):
                self._inputs[key] = node["inputs"]
                self._types[key] = text_of(node.get("class_type"))
        self.samplers = sorted((key for key in self._inputs if self._samples(key)), key=_by_number)

    def _samples(self, key: str) -> bool:
        inputs = self._inputs[key]
        told = inputs.keys() & {"seed", "noise_seed", "noise", "steps"}
        guided = any(self._link(inputs.get(name)) for name in ("positive", "guider", "text_embeds"))
        return bool(told) and (guided or isinstance(inputs.get("prompt"), str))

    def _link(self, value: Any) -> str | None:
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
            return str(value[0]) if str(value[0]) in self._inputs else None
        return None

    def _walk(self, start: str | None, onward: Callable[[str, str], list[str]]) -> Iterator[str]:
        """Yield the nodes behind one, each once, in the order of their inputs; `onward` names the inputs to follow."""
        waiting, seen = [start], set()
        while waiting:
            key = waiting.pop()
            if key is None or key in seen:
                continue
            seen.add(key)
            yield key
            inputs = self._inputs[key]
            waiting += [self._link(inputs.get(name)) for name in reversed(onward(key, self._types[key]))]

    def _value(self, key: str | None, *names: str) -> Any:
        """Return the first of these inputs of a node; one that another node gives is looked up there."""
        if key is None:
            return None
        for name in names:
            value = self._inputs[key].get(name)
            behind = self._link(value)
            if behind is not None:
                value = next((v for v in self._inputs[behind].values() if isinstance(v, int | float | str)), None)
            if value is not None and not isinstance(value, list | dict):
                return value
        return None

    def _behind(self, key: str, name: str) -> str | None:
        return self._link(self._inputs[key].get(name))

    def main(self) -> str:
        """Return the sampler that decided what the image is of."""
        before = {key: self._before(key) for key in self.samplers}
        followed = {one for many in before.values() for one in many}
        key = next((one for one in self.samplers if one not in followed), self.samplers[0])
        seen = {key}
        while len(before[key]) == 1 and before[key][0] not in seen:
            key = before[key][0]
            seen.add(key)
        return key

    def _before(self, key: str) -> list[str]:
        """Return the samplers whose output a sampler goes on from."""
        samplers = set(self.samplers)
        onward: Callable[[str, str], list[str]] = lambda at, _: (  # noqa: E731
            list(_LATENT) if at == key or at not in samplers else []
        )
        return [one for one in self._walk(key, onward) if one != key and one in samplers]

    def sampling(self, key: str) -> dict[str, Any]:
        """Return what one pass was told."""
        guider, sigmas = self._behind(key, "guider"), self._behind(key, "sigmas")
        told = guider or self._behind(key, "text_embeds") or key
        models = self._models(self._behind(key, "model") or (self._behind(guider, "model") if guider else None))
        fresh = self._inputs[key].get("add_noise") != "disable"  # otherwise its seed is not used
        seed = self._value(key, "seed", "noise_seed")
        noise = self._behind(key, "noise")
        return {
            "node": key,
            "prompt": self._texts(told, "positive"),
            "negative": self._texts(told, "negative"),
            "model": models[0],
            "loras": models[1],
            "seed": whole(self._value(noise, "noise_seed", "seed") if seed is None else seed) if fresh else None,
            "steps": whole(self._value(key, "steps") or self._value(sigmas, "steps")),
            "guidance": number(self._guidance(key, told)),
            "sampler": text_of(
                self._value(key, "sampler_name")
                or self._value(self._behind(key, "sampler"), "sampler_name")
                or self._value(key, "scheduler")
            ),
            "scheduler": text_of(self._value(key, "scheduler") or self._value(sigmas, "scheduler")),
            "denoise": number(self._value(key, "denoise", "denoise_strength") or self._value(sigmas, "denoise")),
        }

    def _guidance(self, key: str, told: str) -> Any:
        for node in (key, told):
            found = self._value(node, "cfg")
            if found is not None:
                return found
        follow: Callable[[str, str], list[str]] = lambda at, _: [  # noqa: E731
            name for name in self._inputs[at] if name not in _NO_TEXT and name != "negative"
        ]
        return next(
            (self._value(at, "guidance") for at in self._walk(told, follow) if self._value(at, "guidance")), None
        )

    def _texts(self, start: str, side: str) -> str:
        """Return the texts behind a sampler's positive or negative conditioning, one a line."""

        def onward(at: str, kind: str) -> list[str]:
            inputs = self._inputs[at]
            if kind == "ConditioningZeroOut":
                return []  # its text does not count
            if self._link(inputs.get(side)):
                return [side]
            if at == start:  # a guider of one side only, as Flux has
                return ["conditioning"] if side == "positive" else []
            return [name for name in inputs if name not in _NO_TEXT]

        found: list[str] = []
        for at in self._walk(start, onward):
            if self._types[at] == "ConditioningZeroOut" or (at == start and self._link(self._inputs[at].get(side))):
                continue
            names = (side, f"{side}_prompt", *(_TEXTS if at != start or side == "positive" else ()))
            for name in names:
                value = self._inputs[at].get(name)
                text = text_of(value) if isinstance(value, str) else ""
                if text and text not in found:
                    found.append(text)
        return "\n".join(found)

    def _models(self, start: str | None) -> tuple[str, list[str]]:
        """Return the name of the weights behind a sampler, and of the LoRA adapters on the way."""
        loras = []
        for at in self._walk(start, lambda _, __: ["model"]):
            inputs = self._inputs[at]
            if isinstance(inputs.get("lora_name"), str):
                loras.append(text_of(inputs["lora_name"]))
            for name in _MODELS:
                if isinstance(inputs.get(name), str):
                    return text_of(inputs[name]), loras
        return "", loras

    def size_of(self, key: str) -> tuple[int | None, int | None]:
        """Return the pixels that a sampler started from, where a node says them."""
        for at in self._walk(key, lambda _, __: list(_LATENT)):
            width, height = size(self._value(at, "width")), size(self._value(at, "height"))
            if width and height:
                return width, height
        return None, None


def _by_number(key: str) -> tuple[int, str]:
    return (int(key) if key.isdecimal() and len(key) < 10 else 10**9, key)


def _from_editor(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the editor's form into the graph's: its links stand in a list of their own, and its values have no names."""
    sources = {}
    for link in workflow.get("links") or []:
        if isinstance(link, list) and len(link) >= 4 and isinstance(link[0], int):
            sources[link[0]] = [str(link[1]), link[2]]
    nodes = {}
    for node in workflow.get("nodes") or []:
        if not isinstance(node, dict) or node.get("mode") in {2, 4}:  # muted or bypassed
            continue
        inputs: dict[str, Any] = {}
        values = node.get("widgets_values")
        names = _WIDGETS.get(text_of(node.get("type")), ())
        if isinstance(values, list):
            inputs |= {name: value for name, value in zip(names, values, strict=False) if name}
        for one in node.get("inputs") or []:
            if isinstance(one, dict) and isinstance(one.get("link"), int) and one["link"] in sources:
                inputs[text_of(one.get("name"))] = sources[one["link"]]
        nodes[str(node.get("id"))] = {"class_type": node.get("type"), "inputs": inputs}
    return nodes
