"""Writes to the registry."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path

from django.db import IntegrityError, transaction

from easel.accounts.models import User
from easel.common.errors import Conflict, InvalidInput
from easel.registry import inspection
from easel.registry.inspection import BrokenModel
from easel.registry.models import ModelVersion
from generation.storage import weights_hash

__all__ = ["BrokenModel", "NewModel", "TrainedModel", "add_model", "register_folder", "register_trained"]

HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
API_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
ON_A_HUB = (ModelVersion.Kind.PIPELINE, ModelVersion.Kind.ADAPTER, ModelVersion.Kind.CONTROLNET)
HASHED_ON_A_PAGE = 2 * 2**30
"""Bytes. The hash of more takes longer than somebody waits for a page: see `add_model`."""


@dataclass(frozen=True)
class NewModel:
    """What is said of a model that is to be registered; what is left empty is found out."""

    location: str
    name: str = ""
    licence: str = ""
    kind: str = ""
    base: ModelVersion | None = None
    note: str = ""


@dataclass(frozen=True)
class _Found:
    """What was found out about it."""

    kind: str
    family: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()


def register_folder(name: str, folder: str, licence: str, at: datetime) -> ModelVersion:
    """Register the model folder of that name, or return its entry; new weights make a new version.

    Raises BrokenModel.
    """
    return add_model(NewModel(location=f"folder:{folder}", name=name, licence=licence), None, at)


def add_model(new: NewModel, by: User | None, at: datetime, *, hash_up_to: int | None = None) -> ModelVersion:
    """Register a model, or return its entry. Other weights under a known location become a new version, with a note.

    A folder is hashed here unless it has more than `hash_up_to` bytes; a hub model where this machine's cache has it.
    Without a hash the entry is unverified, and says so: the first worker that renders with it fixes the hash.
    Raises BrokenModel, InvalidInput or Conflict; nothing is registered then.
    """
    where, _, what = new.location.strip().partition(":")
    new = replace(new, location=f"{where}:{what}", name=" ".join(new.name.split()))
    if where == "folder":
        found = _look_into(inspection.inspect_folder(what), hash_up_to)
    elif where == "hub":
        found = _look_up(what, new.kind, hash_up_to)
    elif where == "api":
        found = _service(what)
    else:
        raise InvalidInput(
            f"{new.location!r} is no location of a model. Write folder:NAME, hub:OWNER/NAME or api:NAME.",
            fields={"location": ["must begin with folder:, hub: or api:"]},
        )
    if new.kind and new.kind != found.kind:
        message = f"{new.location} is of kind {found.kind}, not {new.kind}. Leave the kind out."
        raise InvalidInput(message, fields={"kind": [message]})
    _check_base(new, found)
    try:
        with transaction.atomic():
            return _record(new, found, by, at)
    except IntegrityError as error:
        raise Conflict(f"Somebody else registered {new.location} at the same moment. Load the list again.") from error


@dataclass(frozen=True)
class TrainedModel:
    """What a fine-tune made."""

    name: str
    kind: str
    base: ModelVersion
    location: str
    sha256: str
    note: str


def register_trained(new: TrainedModel, by: User | None, at: datetime) -> ModelVersion:
    """Register what a fine-tune left in storage. The same weights on the same base are the same version.

    Where another model has the name already, a number is put after it. To be called within a transaction.
    """
    same = ModelVersion.objects.filter(location=new.location, sha256=new.sha256, base=new.base).first()
    if same is not None:
        return same
    names = (f"{new.name[:80]} {number}" if number > 1 else new.name[:90] for number in count(1))
    return ModelVersion.objects.create(
        name=next(name for name in names if not ModelVersion.objects.filter(name=name).exists()),
        kind=new.kind,
        base=new.base,
        family=new.base.family,
        location=new.location,
        sha256=new.sha256,
        licence=new.base.licence,
        note=new.note,
        created_by=by,
        created_at=at,
    )


def _record(new: NewModel, found: _Found, by: User | None, at: datetime) -> ModelVersion:
    same_place = ModelVersion.objects.filter(location=new.location)
    if found.kind in {ModelVersion.Kind.ADAPTER, ModelVersion.Kind.CONTROLNET}:
        same_place = same_place.filter(base=new.base)  # on another base it is another model
    known = same_place.filter(sha256=found.sha256).first()
    if known is not None:
        return known
    if found.sha256:
        unverified = same_place.filter(sha256="").first()
        if unverified is not None:
            unverified.sha256, unverified.family = found.sha256, unverified.family or found.family
            unverified.note = _without_promise(unverified.note)
            unverified.save(update_fields=["sha256", "family", "note"])
            return unverified
    name = new.name or new.location.partition(":")[2].rpartition("/")[2]
    if len(name) > 90 or not name.isprintable():
        message = "A name has at most 90 printable characters."
        raise InvalidInput(message, fields={"name": [message]})
    notes = [new.note.strip(), *found.notes]
    older = same_place.order_by("-created_at").first()
    if older is not None:
        name = f"{name} {same_place.count() + 1}"
        notes.append(f"The files of {new.location} changed; {older.name} was made with what lay there before.")
    elif found.sha256 and (twin := ModelVersion.objects.filter(sha256=found.sha256).first()):
        notes.append(f"The same weights as {twin.name} ({twin.location}).")
    if ModelVersion.objects.filter(name=name).exists():
        raise BrokenModel(
            f"There is another model named {name!r}. Register {new.location} under another name.",
            fields={"name": ["is taken"]},
        )
    base = new.base
    if base is None and older is not None:
        base = older.base
    return ModelVersion.objects.create(
        name=name,
        kind=found.kind,
        base=base,
        family=found.family or (base.family if base is not None and found.kind == ModelVersion.Kind.ADAPTER else ""),
        location=new.location,
        sha256=found.sha256,
        licence=new.licence.strip(),
        note="\n".join(filter(None, notes)),
        created_by=by,
        created_at=at,
    )


_PROMISE = "Unverified: "


def _without_promise(note: str) -> str:
    return "\n".join(line for line in note.splitlines() if not line.startswith(_PROMISE))


def _look_into(model: inspection.Inspected, hash_up_to: int | None) -> _Found:
    notes = []
    if model.also_in:
        count = len(model.also_in) + 1  # no paths: everybody who is signed in reads notes
        notes.append(f"{count} model folders hold one of this name; the first that EASEL_MODEL_PATH names is used.")
    if hash_up_to is not None and model.size > hash_up_to:
        notes.append(
            f"{_PROMISE}{model.size / 2**30:.1f} GB are too much to hash on a page. The first worker that renders with "
            "it fixes the hash, or `easel add-model` with the same location does."
        )
        return _Found(model.kind, model.family, "", tuple(notes))
    return _Found(model.kind, model.family, _hash(model.path), tuple(notes))


def _hash(path: Path) -> str:
    try:
        return weights_hash(path)
    except OSError as error:
        raise BrokenModel(f"{path} cannot be read: {error.strerror or error}. Copy the model again.") from error


def _look_up(name: str, kind: str, hash_up_to: int | None) -> _Found:
    """Say what is known of a hub model: much where this machine's cache has it, else its name only."""
    if not HUB_NAME.fullmatch(name) or ".." in name:
        message = f"{name!r} is no model on a hub. Write hub:OWNER/NAME."
        raise InvalidInput(message, fields={"location": [message]})
    if kind and kind not in ON_A_HUB:
        message = f"A hub holds no model of kind {kind!r}; name one of {', '.join(one.value for one in ON_A_HUB)}."
        raise InvalidInput(message, fields={"kind": [message]})
    path = inspection.hub_folder(name)
    if path is not None:
        return _look_into(inspection.inspect(path, inside=path.parents[1]), hash_up_to)
    note = (
        f"{_PROMISE}it is not in this machine's hub cache, so nothing of it was looked at. The worker checks it before "
        "it loads anything, and the first one that renders with it fixes the hash."
    )
    return _Found(kind or ModelVersion.Kind.PIPELINE, notes=(note,))


def _service(name: str) -> _Found:
    if not API_NAME.fullmatch(name):
        message = f"{name!r} is no name of a service: small letters, digits and '-'. Write api:NAME."
        raise InvalidInput(message, fields={"location": [message]})
    note = (
        "A service has no weights and no hash: what it does behind its name may change. It takes no seed. "
        f"The worker's environment must name it (EASEL_API_{name.upper().replace('-', '_')}_URL and so on)."
    )
    return _Found(ModelVersion.Kind.API, notes=(note,))


def _check_base(new: NewModel, found: _Found) -> None:
    """Raise InvalidInput where a base is missing, or is nothing that this could lie on."""
    kinds = ModelVersion.Kind
    message = ""
    if found.kind in {kinds.ADAPTER, kinds.CONTROLNET}:
        label = kinds(found.kind).label
        if new.base is None:
            message = f"{new.location} is a {label}: name the base model that it was made for."
        elif new.base.kind not in {kinds.PIPELINE, kinds.ADAPTER}:
            message = f"A {label} cannot lie on {new.base.name}, which is of kind {new.base.kind}. Choose a pipeline."
    elif found.kind == kinds.API and new.base is not None:
        message = "A service has no base model. Leave it out."
    if message:
        raise InvalidInput(message, fields={"base": [message]})
