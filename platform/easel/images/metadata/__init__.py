"""What an image's file says about how it was made: one reader for the forms of seven programs.

Pure: an opened Pillow image goes in, an `ImageMetadata` comes out. `common.pictures.open_picture` opens files safely.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from easel.images.metadata import a1111, comfyui, fooocus, invokeai, novelai, own, swarmui
from easel.images.metadata.model import BrokenMetadata, ImageMetadata, load_object, storable, text_of
from easel.images.metadata.stealth import hidden_text
from easel.images.metadata.texts import texts_of

__all__ = ["BrokenMetadata", "ImageMetadata", "hidden_text", "read_metadata"]


def read_metadata(image: Image.Image) -> ImageMetadata | None:
    """Return what a decoded image's file says about its making, or None where no known program wrote anything.

    Raises BrokenMetadata where a known program wrote something that cannot be read.
    """
    texts = texts_of(image)
    if "stealth" in texts:
        texts |= _hidden(texts["stealth"])
    found = _read(texts)
    if found is None:
        return None
    # Whatever a reader took over is made storable here, once.
    return ImageMetadata.model_validate(storable(found.model_dump()))


def _hidden(text: str) -> dict[str, str]:
    """Return hidden text as if it had stood in chunks: NovelAI hides all its chunks as JSON, others one text."""
    if not text.lstrip().startswith("{"):
        return {"parameters": text}
    values = load_object(text, "The text hidden in its pixels")
    if "Comment" not in values:
        return {"parameters": text}
    return {name: value if isinstance(value, str) else text_of(value) for name, value in values.items()}


def _read(texts: Mapping[str, str]) -> ImageMetadata | None:
    if own.KEYWORD in texts:
        return own.read(texts[own.KEYWORD])
    if invokeai.is_invokeai(texts):
        return invokeai.read(texts)
    if novelai.is_novelai(texts):
        return novelai.read(texts)
    scheme = texts.get("fooocus_scheme", texts.get("MakerNote", "")).strip("\x00 ")
    for name in ("parameters", "UserComment", "ImageDescription"):
        text = texts.get(name, "")
        if a1111.is_a1111(text):  # asked first: a prompt may begin with a brace too
            return fooocus.read_a1111(text) if scheme == "a1111" else a1111.read(text)
        if text.lstrip().startswith("{"):
            found = _read_object(text, name)
            if found is not None:
                return found
    return comfyui.read(texts) if comfyui.is_comfyui(texts) else None


def _read_object(text: str, name: str) -> ImageMetadata | None:
    """Read a JSON object, which several programs write into the same place."""
    values = load_object(text, f"Its text {name!r}")
    if swarmui.is_swarmui(values):
        return swarmui.read(values)
    if fooocus.is_fooocus(values):
        return fooocus.read(values)
    if "Comment" in values and values.get("Software") == "NovelAI":
        return novelai.read({key: value for key, value in values.items() if isinstance(value, str)})
    graph = values.get("prompt")
    return comfyui.read({"prompt": graph if isinstance(graph, str) else comfyui.as_text(graph)}) if graph else None
