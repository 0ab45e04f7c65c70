"""Pictures that images start from: taken apart into pixels, checked, and stored as PNG files of our own making."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PIL import Image

from easel.accounts.models import User
from easel.common.errors import InvalidInput
from easel.common.pictures import BadPicture, open_picture, png, upright
from easel.common.storage import storage
from easel.projects.models import Project
from easel.prompts.models import ConditioningImage
from generation.types import Margins

SMALLEST_SIDE, LARGEST_SIDE = 16, 2_048  # pixels, as generation.types.RenderSettings
MULTIPLE = 8  # pixels: every model works on blocks of this side

Kind = ConditioningImage.Kind


@dataclass(frozen=True)
class File:
    """An uploaded file."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Added:
    """A picture, and what was changed about it on the way in."""

    picture: ConditioningImage
    notes: list[str]


def add_picture(
    project: Project,
    kind: str,
    image: File,
    by: User,
    at: datetime,
    *,
    mask: File | None = None,
    margins: Margins | None = None,
) -> Added:
    """Store a picture; the same one again is the one that is there.

    Sides that are no multiple of 8 lose up to 7 pixels, half of them at each end, and the answer says so. Raises
    BadPicture for files that cannot be taken, InvalidInput for parts that do not belong to the kind.
    """
    _check_parts(kind, mask, margins)
    pixels = _opaque(upright(open_picture(image.name, image.content)))
    _check_size(image.name, pixels.size, margins)
    notes = []
    fitting = _fitting(pixels)
    if fitting.size != pixels.size:
        notes.append(
            f"{image.name} was {pixels.width} x {pixels.height} pixels and is cut to {fitting.width} x "
            f"{fitting.height} around its middle: sides must be multiples of {MULTIPLE}."
        )
    files = storage()
    mask_key = ""
    if mask is not None:
        mask_key = files.put(png(_fitting(_mask(mask, image.name, pixels.size))), "png")
    image_key = files.put(png(fitting), "png")
    picture = _kept(project, kind, image_key, mask_key, margins, fitting.size, by, at)
    return Added(picture, notes)


def start_from(project: Project, key: str, size: tuple[int, int], by: User, at: datetime) -> ConditioningImage:
    """Return the picture that an image of ours makes; its file is shared, not copied.

    key: where its PNG lies in storage. size: width and height in pixels. Raises StorageError where the file is gone and
    BadPicture where nothing can start from it.
    """
    fits = all(SMALLEST_SIDE <= side <= LARGEST_SIDE and side % MULTIPLE == 0 for side in size)
    if not fits or not key.endswith(".png"):  # a service chooses sizes as it likes
        return add_picture(project, Kind.IMAGE, File("the image", storage().read(key)), by, at).picture
    return _kept(project, Kind.IMAGE, key, "", None, size, by, at)


def _kept(
    project: Project,
    kind: str,
    image_key: str,
    mask_key: str,
    margins: Margins | None,
    size: tuple[int, int],
    by: User,
    at: datetime,
) -> ConditioningImage:
    """Return the project's picture of these files: the one that is there, or a new one."""
    same = ConditioningImage.objects.filter(project=project, kind=kind, image_key=image_key, mask_key=mask_key)
    sides = margins.model_dump(mode="json") if margins else None
    # None is SQL's NULL when it is stored, and JSON's null when it is looked for.
    picture = (same.filter(margins=sides) if sides else same.filter(margins__isnull=True)).first()
    return picture or ConditioningImage.objects.create(
        project=project,
        kind=kind,
        image_key=image_key,
        mask_key=mask_key,
        margins=sides,
        width=size[0],
        height=size[1],
        created_by=by,
        created_at=at,
    )


def _check_parts(kind: str, mask: File | None, margins: Margins | None) -> None:
    def refuse(field: str, message: str) -> None:
        raise InvalidInput(message, fields={field: [message]})

    if kind not in Kind.values:
        refuse("kind", f"{kind!r} is no kind of picture; choose one of {', '.join(Kind.values)}.")
    if kind == Kind.INPAINT and mask is None:
        refuse("mask", "Inpainting needs a mask: a picture of the same size, white where it is to be made anew.")
    if kind != Kind.INPAINT and mask is not None:
        refuse("mask", "Only inpainting takes a mask. Leave it out, or choose inpainting.")
    grows = margins is not None and any(margins.model_dump().values())
    if kind == Kind.OUTPAINT and not grows:
        refuse("margins", "Outpainting needs a margin: by how many pixels the picture grows at one side or more.")
    if kind != Kind.OUTPAINT and margins is not None:
        refuse("margins", "Only outpainting takes margins. Leave them out, or choose outpainting.")


def _check_size(name: str, size: tuple[int, int], margins: Margins | None) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        raise BadPicture(f"{name} is {width} x {height} pixels; each side needs {SMALLEST_SIDE} at least.")
    if max(size) > LARGEST_SIDE:
        scale = LARGEST_SIDE / max(size)
        fits = " x ".join(str(max(MULTIPLE, int(side * scale) // MULTIPLE * MULTIPLE)) for side in size)
        raise BadPicture(
            f"{name} is {width:,} x {height:,} pixels; a side may have {LARGEST_SIDE:,} at most. Make it {fits}."
        )
    if margins is not None:
        grown = (width + margins.left + margins.right, height + margins.top + margins.bottom)
        if max(grown) > LARGEST_SIDE:
            raise BadPicture(
                f"{name} grows to {grown[0]:,} x {grown[1]:,} pixels; a side may have {LARGEST_SIDE:,} at most. "
                "Choose smaller margins."
            )


def _fitting(image: Image.Image) -> Image.Image:
    """Return the middle of an image whose sides are multiples of 8."""
    width, height = (side // MULTIPLE * MULTIPLE for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _opaque(image: Image.Image, behind: str = "white") -> Image.Image:
    """Return RGB pixels; what is transparent shows a plain colour."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, behind)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _mask(file: File, image: str, size: tuple[int, int]) -> Image.Image:
    mask = _opaque(upright(open_picture(file.name, file.content)), "black").convert("L")
    if mask.size != size:
        raise BadPicture(
            f"{file.name} is {mask.width} x {mask.height} pixels and {image} is {size[0]} x {size[1]}; "
            "a mask has the size of its picture."
        )
    if mask.getextrema() == (0, 0):
        raise BadPicture(f"{file.name} is black everywhere: nothing would be made anew. Paint that part white.")
    return mask
