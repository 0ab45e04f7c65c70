"""What files of seven programs say about their making, read from real files and from files made here."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from easel.common.errors import Refusal
from easel.common.pictures import BadPicture, open_picture
from easel.env import REPOSITORY
from easel.images.metadata import BrokenMetadata, ImageMetadata, a1111, hidden_text, own, read_metadata
from easel.images.metadata.chunks import HEAD, is_png_head, text_chunks
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SHARED = REPOSITORY.parent / "shared" / "data" / "png_metadata" / "sd-parsers"
FILES = sorted(path for path in SHARED.rglob("*") if path.suffix in {".png", ".jpg"})
needs_files = pytest.mark.skipif(not FILES, reason="shared/data/png_metadata is not beside the repository")
DUCK = {
    "prompt": "photo of a duck", "negative": "monochrome", "seed": 235284042, "steps": 15, "guidance": 5.0,
    "sampler": "UniPC", "model_name": "realistic_realisticVisionV20_v20", "model_hash": "c0d1994c73",
    "width": 512, "height": 400,
}  # fmt: skip
# Files without a .py of expected values beside them: read off their texts by hand.
BY_HAND: dict[str, dict[str, Any]] = {
    "automatic1111_cropped.png": DUCK,
    "automatic1111_cropped.jpg": DUCK,
    "text_after_idat.png": DUCK,
    "fooocus1_cropped.png": {
        "prompt": "a smiling goldfish", "negative": "", "seed": 6952411511246973023, "steps": 30, "guidance": 4.0,
        "sampler": "dpmpp_2m_sde_gpu", "model_name": "juggernautXL_v8Rundiffusion", "model_hash": "aeb7e9e689",
        "width": 768, "height": 1280,
    },
    "novelai1_cropped.png": {
        "prompt": "masterpiece, best quality,  cat, space, icon", "seed": 2253955223, "steps": 50, "guidance": 10.0,
        "sampler": "k_euler_ancestral", "model_name": "Stable Diffusion", "model_hash": "1D44365E",
    },
    "unclip_2pass_cropped.png": {
        "seed": 1106257833005336, "steps": 26, "guidance": 8.0, "sampler": "uni_pc_bh2", "width": 1280, "height": 704,
        "model_name": "wd-1-5-beta2-aesthetic-unclip-h-fp32.safetensors",
        "prompt": "(waifu, anime, exceptional, best aesthetic, new, newest, best quality, masterpiece, "
        "extremely detailed:1.2)",
    },
    # Three parts are painted apart and pasted together; the pass that merges them describes the whole and has no seed.
    "noisy_latents_3_subjects_cropped.png": {
        "seed": None, "steps": 16, "guidance": 6.5, "sampler": "uni_pc", "model_name": "Anything-V3.0.ckpt",
        "width": 1280, "height": 704,
    },
}  # fmt: skip
SILENT = {"empty_image.png", "empty_image.jpg"}
REFUSED = {"empty_file.png": "is empty"}


@dataclass
class _Named:
    """Stands in for sd-parsers' Model, Prompt and Sampler, in whose words the expected values are written."""

    args: tuple[Any, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def expected_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[Any] | None]:
    """Read the expected values beside a file."""
    data = ModuleType("sd_parsers.data")
    for name in ("Model", "Prompt", "Sampler"):
        setattr(data, name, lambda *args, **values: _Named(args, values))
    package = ModuleType("sd_parsers")
    package.extractors = SimpleNamespace(png_stenographic_alpha=None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sd_parsers", package)
    monkeypatch.setitem(sys.modules, "sd_parsers.data", data)

    def read(path: Path) -> list[Any] | None:
        beside = path.with_suffix(".py")
        if not beside.is_file():
            return None
        scope: dict[str, Any] = {}
        exec(compile(beside.read_text(), str(beside), "exec"), scope)
        return list(_samplers(scope["PARAM"].values))

    return read


def _samplers(values: Any) -> Iterator[_Named]:
    for value in values:
        if isinstance(value, _Named) and "name" in value.values and "parameters" in value.values:
            yield value
        elif isinstance(value, list | tuple):
            yield from _samplers(value)


def read(content: bytes, name: str = "file.png") -> ImageMetadata | None:
    """Open a file and read what it says."""
    return read_metadata(open_picture(name, content))


def seen(content: bytes) -> ImageMetadata:
    """Read a file that must say something."""
    found = read(content)
    assert found is not None
    return found


@needs_files
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_shared_file_gives_what_is_expected_or_a_clear_error(
    path: Path, expected_of: Callable[[Path], list[Any] | None]
) -> None:
    if path.name in REFUSED:
        with pytest.raises(BadPicture, match=REFUSED[path.name]):
            read(path.read_bytes(), path.name)
        return
    found = read(path.read_bytes(), path.name)
    if path.name in SILENT:
        assert found is None
        return
    assert found is not None
    expected = expected_of(path)
    if expected is None:
        assert found.model_dump(include=set(BY_HAND[path.name])) == BY_HAND[path.name]
        return
    # A file of several passes has them all in `extra`; the fields are those of the one that decided what is seen.
    passes = found.extra.get("passes") or [
        {**found.model_dump(), "model": found.model_name}  # one pass: the fields themselves
    ]
    assert len(passes) == len(expected)
    for one, sampler in zip(passes, expected, strict=True):
        said, model = sampler.values, sampler.values.get("model")
        assert one["sampler"] == said["name"]
        assert str(one["seed"]) == str(said["parameters"]["seed"])
        assert str(one["steps"]) == str(said["parameters"]["steps"])
        assert one["guidance"] == float(said["parameters"]["cfg_scale"])
        assert one["model"] == (model.values["name"] if model else "")
        assert _lines(one["prompt"]) == sorted(_text(prompt) for prompt in said["prompts"])
        assert _lines(one["negative"]) == sorted(_text(prompt) for prompt in said["negative_prompts"])
        if model and len(passes) == 1:
            assert found.model_hash == (model.values.get("hash") or "")
    if path.name.startswith("night_"):
        assert (found.width, found.height, found.seed) == (704, 1280, 335608130539327)


def _lines(text: str) -> list[str]:
    return sorted(text.split("\n"))


def _text(prompt: _Named) -> str:
    return str(prompt.args[0] if prompt.args else prompt.values["value"])


@needs_files
def test_a_graph_whose_texts_meet_in_a_node_of_another_kind_is_followed(
    expected_of: Callable[[Path], list[Any] | None],
) -> None:
    path = SHARED / "parsers" / "ComfyUI" / "WanVideoWrapper.py"
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    found = seen(picture(prompt=json.dumps(scope["PARAM"].values[0]["prompt"])))
    assert (found.prompt, found.negative) == ("positive prompt", "negative prompt")
    assert (found.sampler, found.seed, found.steps, found.guidance) == ("unipc", 1234, 30, 6.0)
    assert found.model_name == "wan\\wan2.1_i2v_480P_14B_fp8_e4m3fn.safetensors"


def picture(image: Image.Image | None = None, /, **texts: str) -> bytes:
    """Return a PNG with texts, as Pillow (and so most programs) writes them."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name.replace("_dash_", "-"), text)
    file = io.BytesIO()
    (image or Image.new("RGB", (8, 8), "navy")).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def photo(format_: str, comment: bytes = b"", **tags: str) -> bytes:
    """Return a JPEG or WebP with EXIF."""
    exif = Image.Exif()
    names = {"ImageDescription": 0x010E, "Make": 0x010F, "Model": 0x0110}
    for name, text in tags.items():
        exif[names[name]] = text
    if comment:
        exif.get_ifd(0x8769)[0x9286] = comment
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "navy").save(file, format_, exif=exif.tobytes())
    return file.getvalue()


TEXT = (
    "猫と林檎、「赤い」\nNegative prompt: ぼやけた\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 18446744073709551615"
)


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\x00" + TEXT.encode("utf-16-be"),
        b"UNICODE\x00" + TEXT.encode("utf-16-le"),
        b"UNICODE\x00" + TEXT.encode("utf-16"),
        b"UNICODE\x00" + TEXT.encode(),
        b"ASCII\x00\x00\x00" + TEXT.encode(),
        b"\x00" * 8 + TEXT.encode(),
        b"JIS\x00\x00\x00\x00\x00" + TEXT.encode("iso2022_jp"),
    ],
    ids=["utf-16-be", "utf-16-le", "with a mark", "utf-8 that says unicode", "ascii", "undefined", "jis"],
)
def test_japanese_text_is_read_from_an_exif_comment_in_whatever_characters(comment: bytes, format_: str) -> None:
    found = seen(photo(format_, comment))
    assert (found.prompt, found.negative) == ("猫と林檎、「赤い」", "ぼやけた")
    assert (found.sampler, found.seed) == ("Euler a", 2**64 - 1)


def test_japanese_text_is_read_from_a_chunk_that_should_have_been_latin() -> None:
    content = with_chunk(picture(), b"tEXt", b"parameters\x00" + TEXT.encode())
    assert seen(content).prompt == "猫と林檎、「赤い」"
    assert seen(picture(parameters=TEXT)).negative == "ぼやけた"


def with_chunk(content: bytes, kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    """Put one chunk behind a PNG's header."""
    crc = zlib.crc32(kind + body) if crc is None else crc
    return content[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc) + content[33:]


def hide(text: str, *, packed: bool, alpha: bool = True, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Hide a text in the lowest bits of an image's pixels: written apart from the reader, pixel by pixel."""
    content = gzip.compress(text.encode()) if packed else text.encode()
    form = f"stealth_{'png' if alpha else 'rgb'}{'comp' if packed else 'info'}"
    data = form.encode() + (len(content) * 8).to_bytes(4, "big") + content
    bits = [byte >> place & 1 for byte in data for place in range(7, -1, -1)]
    image = Image.new("RGBA" if alpha else "RGB", size, (200, 100, 50))
    stream = iter(bits)
    for x in range(size[0]):
        for y in range(size[1]):
            pixel = list(image.getpixel((x, y)))  # type: ignore[arg-type]
            for channel in [3] if alpha else [0, 1, 2]:
                pixel[channel] = (pixel[channel] & 0xFE) | next(stream, 0)
            image.putpixel((x, y), tuple(pixel))
    return image


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("alpha", [True, False])
def test_text_hidden_in_the_pixels_is_found(packed: bool, alpha: bool) -> None:
    found = seen(picture(hide(TEXT, packed=packed, alpha=alpha)))
    assert (found.generator, found.prompt, found.seed) == ("A1111", "猫と林檎、「赤い」", 2**64 - 1)


def test_novelais_hidden_chunks_are_read_like_its_plain_ones() -> None:
    chunks = {
        "Software": "NovelAI", "Source": "NovelAI Diffusion V4 79F47848", "Description": "a cat",
        "Comment": json.dumps({"uc": "blurry", "seed": 7, "steps": 28, "scale": 5, "width": 832, "height": 1216}),
    }  # fmt: skip
    for content in (picture(hide(json.dumps(chunks), packed=True)), picture(**chunks)):
        found = seen(content)
        assert (found.generator, found.prompt, found.negative) == ("NovelAI", "a cat", "blurry")
        assert (found.model_name, found.model_hash) == ("NovelAI Diffusion V4", "79F47848")
        assert (found.seed, found.width, found.height) == (7, 832, 1216)


def test_hidden_text_that_was_cropped_or_is_a_bomb_is_refused_in_one_line() -> None:
    image = hide(TEXT, packed=True)
    with pytest.raises(BrokenMetadata, match="cut off"):
        read(picture(image.crop((0, 0, 8, 40))))
    with pytest.raises(BrokenMetadata, match="longer than 2 MB"):
        hidden_text(hide("a" * 3_000_000, packed=True, size=(300, 100)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"sui_image_params": {"prompt": "a cat", "negativeprompt": "dull", "model": "OfficialStableDiffusion/sd_xl",
             "seed": 9007199254740993, "steps": 20, "cfgscale": 7.5, "sampler": "euler", "width": 1024, "height": 768,
             "swarm_version": "0.9.6"}, "sui_models": [{"name": "sd_xl", "param": "model", "hash": "0xe6bb9e"}]},
            ("SwarmUI", "a cat", "dull", "OfficialStableDiffusion/sd_xl", 9007199254740993, "0xe6bb9e"),
        ),
        (
            {"prompt": "a cat", "negative_prompt": "dull", "base_model": "jugg", "base_model_hash": "ab12",
             "seed": "6952411511246973023", "metadata_scheme": "fooocus", "version": "Fooocus v2.5"},
            ("Fooocus", "a cat", "dull", "jugg", 6952411511246973023, "ab12"),
        ),
    ],
)  # fmt: skip
def test_json_settings_are_read_from_png_and_from_exif(values: dict[str, Any], expected: tuple[Any, ...]) -> None:
    text = json.dumps(values, indent=2)
    for content in (picture(parameters=text), photo("JPEG", b"UNICODE\x00" + text.encode("utf-16-be"))):
        found = seen(content)
        assert (
            found.generator,
            found.prompt,
            found.negative,
            found.model_name,
            found.seed,
            found.model_hash,
        ) == expected


def test_fooocus_in_a1111s_form_is_fooocus() -> None:
    text = "a cat\nNegative prompt: dull\nSteps: 30, Sampler: DPM++ 2M SDE, Seed: 5, Version: Fooocus v2.5"
    assert seen(picture(parameters=text, fooocus_scheme="a1111")).generator == "Fooocus"


def test_comfyui_is_read_from_webp_and_from_the_editors_form_alone() -> None:
    graph = {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
        "2": {"class_type": "LoraLoaderModelOnly", "inputs": {"lora_name": "ink.safetensors", "model": ["1", 0]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["9", 0], "clip": ["8", 0]}},
        "4": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["3", 0]}},
        "5": {"class_type": "BasicGuider", "inputs": {"model": ["2", 0], "conditioning": ["4", 0]}},
        "6": {"class_type": "RandomNoise", "inputs": {"noise_seed": 18446744073709551615}},
        "7": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "9": {"class_type": "PrimitiveString", "inputs": {"value": "ink drawing of 猫"}},
        "10": {"class_type": "BasicScheduler", "inputs": {"steps": 20, "scheduler": "simple", "denoise": 1.0}},
        "11": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 768}},
        "12": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {"noise": ["6", 0], "guider": ["5", 0], "sampler": ["7", 0], "sigmas": ["10", 0],
                       "latent_image": ["11", 0]},
        },
    }  # fmt: skip
    found = seen(photo("WEBP", Make=f"prompt:{json.dumps(graph)}"))
    assert (found.prompt, found.negative, found.model_name) == ("ink drawing of 猫", "", "flux1-dev.safetensors")
    assert (found.seed, found.steps, found.guidance, found.sampler) == (2**64 - 1, 20, 3.5, "euler")
    assert (found.width, found.height, found.extra["loras"]) == (1024, 768, ["ink.safetensors"])
    workflow = {
        "nodes": [
            {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["sd15.safetensors"]},
            {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["a cat"], "inputs": []},
            {"id": 3, "type": "CLIPTextEncode", "widgets_values": ["dull"], "inputs": []},
            {"id": 4, "type": "KSampler", "widgets_values": [7, "fixed", 20, 8.0, "euler", "normal", 1.0],
             "inputs": [{"name": "model", "link": 1}, {"name": "positive", "link": 2},
                        {"name": "negative", "link": 3}]},
        ],
        "links": [[1, 1, 0, 4, 0, "MODEL"], [2, 2, 0, 4, 1, "CONDITIONING"], [3, 3, 0, 4, 2, "CONDITIONING"]],
    }  # fmt: skip
    found = seen(picture(workflow=json.dumps(workflow)))
    assert (found.prompt, found.negative, found.model_name, found.seed) == ("a cat", "dull", "sd15.safetensors", 7)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"prompt": '{"3": {"inputs": '}, "ComfyUI's prompt is no JSON"),
        ({"prompt": '{"3": {"inputs": {}}}'}, "holds no sampler"),
        ({"prompt": '{"a": ' * 50_000}, "nested too deeply|is no JSON"),
        ({"invokeai_metadata": "[1]"}, "is a list, not an object"),
        ({"sd_dash_metadata": "{}"}, "no object named 'image'"),
        ({"Dream": '"a cat'}, "no command line"),
        ({"Software": "NovelAI", "Comment": "steps 5"}, "NovelAI's Comment is no JSON"),
        ({"parameters": '{"sui_image_params": 3}'}, "SwarmUI's sui_image_params"),
        ({"easel": '{"easel": 99}'}, "of version '99'"),
        ({"easel": '{"easel": 1, "image": {"generator": "x"}}'}, "was edited"),
    ],
)
def test_broken_metadata_is_told_in_one_line(texts: dict[str, str], says: str) -> None:
    with pytest.raises(BrokenMetadata, match=says) as refusal:
        read(picture(**texts))
    assert "\n" not in refusal.value.detail


@pytest.mark.parametrize("text", ["", "{", "hello", "Steps: many", "null", '{"a": 1}', "Steps:", "\x01"])
def test_texts_of_no_known_program_are_no_metadata_and_no_crash(text: str) -> None:
    content = picture(Description=text, Title=text, Comment=text)
    assert read(content) is None


def test_what_cannot_be_stored_is_made_storable() -> None:
    odd = '{"a": NaN, "b": "\\ud800\\u0000", "c": [1e999]}'
    text = f"a\x00cat\nSteps: 5, Seed: 1e5, CFG scale: nan, Size: 0x-3, Odd: {odd}"
    found = seen(photo("JPEG", b"ASCII\x00\x00\x00" + text.encode()))
    assert (found.prompt, found.seed, found.guidance, found.width, found.height) == ("acat", None, None, None, None)
    stored = json.dumps(found.model_dump(), allow_nan=False)
    assert "\\u0000" not in stored and "\\ud800" not in stored


def test_a_bomb_of_text_is_refused() -> None:
    packed = zlib.compress(b"a" * 50_000_000, 9)
    for kind, body in ((b"zTXt", b"parameters\x00\x00"), (b"iTXt", b"parameters\x00\x01\x00\x00\x00")):
        assert len(packed) < 60_000
        with pytest.raises(BadPicture, match=r"file\.png is damaged: .*large"):
            read(with_chunk(picture(), kind, body + packed))


def test_a_broken_check_sum_is_told() -> None:
    with pytest.raises(BadPicture, match="is damaged"):
        read(with_chunk(picture(), b"tEXt", b"parameters\x00Steps: 5", crc=1))


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=80)
tricky = st.lists(
    st.one_of(
        words,
        st.sampled_from(
            ["\n", ", ", '"', "Steps: 20, Sampler: x", "\nSteps: 5, Seed: 1", ": ", "猫", "\\", "<lora:a:1>"]
        ),
    ),
    max_size=6,
).map("".join)


@st.composite
def metadata_strategy(draw: Any) -> ImageMetadata:
    """Anything that a candidate can say of itself."""
    return ImageMetadata(
        generator="A1111",
        prompt=draw(tricky).strip(),
        negative=draw(tricky).strip(),
        model_name=draw(tricky).strip(),
        model_hash=draw(st.from_regex(r"[0-9a-f]{0,64}", fullmatch=True)),
        seed=draw(st.one_of(st.none(), st.integers(-1, 2**70))),
        steps=draw(st.integers(0, 150)),
        guidance=draw(st.one_of(st.none(), st.floats(0, 30))),
        sampler=draw(st.sampled_from(["", "Euler a", "DPM++ 2M, Karras", "DDIMScheduler"])),
        width=512,
        height=768,
    )


@given(metadata_strategy())
def test_a1111s_text_gives_back_what_was_written(metadata: ImageMetadata) -> None:
    if re.search(r"^Negative prompt:", metadata.prompt, re.MULTILINE):
        return  # the form cannot say it; our own text does
    assert a1111.read(a1111.write(metadata)) == metadata


@given(metadata_strategy(), st.booleans())
def test_our_own_text_gives_back_everything_through_a_real_file(metadata: ImageMetadata, trap: bool) -> None:
    if trap:
        metadata = metadata.model_copy(update={"prompt": f"a\nNegative prompt: {metadata.prompt}".strip()})
    plain = picture()
    assert is_png_head(plain[:HEAD])
    texts = text_chunks({"easel": own.write(metadata, {}), "parameters": a1111.write(metadata)})
    assert seen(plain[:HEAD] + texts + plain[HEAD:]) == metadata
    assert seen(plain[:HEAD] + text_chunks({"parameters": a1111.write(metadata)}) + plain[HEAD:]).seed == metadata.seed


@given(st.binary(max_size=400), st.integers(0, 600), st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_no_damage_to_a_file_is_more_than_a_refusal(noise: bytes, place: int, format_: str) -> None:
    content = bytearray(photo(format_, b"UNICODE\x00" + TEXT.encode("utf-16-be"), Make="prompt:{}"))
    content[place : place + len(noise)] = noise
    try:
        read(bytes(content))
    except Refusal as refusal:
        assert "\n" not in refusal.detail  # one line, never a traceback
