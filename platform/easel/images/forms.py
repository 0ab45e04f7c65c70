"""The form that asks for images."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, get_args

from django import forms
from django.utils.datastructures import MultiValueDict
from pydantic import ValidationError

from easel.accounts.models import User
from easel.common.errors import Refusal
from easel.common.pictures import MAX_BYTES
from easel.images.asking import Asked, Defaults, defaults_of
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.prompts.conditioning import File, add_picture
from easel.prompts.models import MAX_TEXT, ConditioningImage, Prompt
from easel.registry.models import ModelVersion
from generation.types import MAX_SEED, Margins, RenderSettings, Scheduler

SCHEDULERS = {
    "default": "The model's own",
    "ddim": "DDIM",
    "dpmpp_2m": "DPM++ 2M",
    "euler_a": "Euler a",
    "euler_trailing": "Euler, trailing (Turbo and Lightning)",
    "unipc": "UniPC",
    "lcm": "LCM (few steps)",
}
SETTINGS = ("steps", "guidance_scale", "width", "height", "scheduler", "strength", "control_scale")


NOTHING = "none"
STARTS = [
    (NOTHING, "None: start from noise"),
    ("image", "Start from it"),
    ("inpaint", "Make a part of it anew"),
    ("outpaint", "Continue it beyond its edges"),
    ("control", "Control picture of a ControlNet"),
]
UPLOAD = forms.ClearableFileInput(attrs={"accept": "image/png,image/jpeg,image/webp"})
SIDES = ("left", "right", "top", "bottom")


def _margin(label: str) -> forms.IntegerField:
    """How far a picture grows at one side."""
    return forms.IntegerField(min_value=0, max_value=1024, step_size=8, required=False, label=label)


class GenerateForm(forms.Form):
    """Which models make how many images of which prompts, and how."""

    class Which:
        """Which prompts."""

        ALL, BARE, CHOSEN, NEW = "all", "bare", "chosen", "new"

    class Seeds:
        """Where the seeds come from."""

        OWN, SHARED, LISTED = "own", "shared", "listed"

    WHICH: ClassVar = [
        (Which.ALL, "All of the project"),
        (Which.BARE, "Those without images"),
        (Which.CHOSEN, "Some that I choose"),
        (Which.NEW, "A new one"),
    ]
    SEEDS: ClassVar = [
        (Seeds.OWN, "Every image its own"),
        (Seeds.SHARED, "The same for every prompt"),
        (Seeds.LISTED, "These"),
    ]

    models = forms.ModelMultipleChoiceField(
        queryset=ModelVersion.objects.none(),
        error_messages={"required": "Choose at least one model.", "invalid_choice": "There is no such model here."},
    )
    which = forms.ChoiceField(choices=WHICH, required=False, label="Prompts")
    prompts = forms.ModelMultipleChoiceField(
        queryset=Prompt.objects.none(),
        required=False,
        error_messages={"invalid_choice": "%(value)s is no prompt of this project."},
    )
    text = forms.CharField(
        max_length=MAX_TEXT, required=False, label="Prompt", widget=forms.Textarea(attrs={"rows": 3})
    )
    negative = forms.CharField(
        max_length=MAX_TEXT,
        required=False,
        label="Negative prompt",
        help_text="What should not be in the image.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    images_per_prompt = forms.IntegerField(min_value=1, max_value=64, initial=4, label="Images a prompt")
    seed_policy = forms.ChoiceField(choices=SEEDS, required=False, label="Seeds")
    seeds = forms.CharField(max_length=2_000, required=False, label="The seeds")
    steps = forms.IntegerField(min_value=1, max_value=150, required=False, help_text="Denoising steps.")
    guidance_scale = forms.FloatField(
        min_value=0, max_value=30, required=False, label="Guidance", help_text="How closely to follow the prompt."
    )
    width = forms.IntegerField(min_value=16, max_value=2048, required=False, help_text="Pixels.")
    height = forms.IntegerField(min_value=16, max_value=2048, required=False, help_text="Pixels.")
    scheduler = forms.ChoiceField(choices=[(name, SCHEDULERS[name]) for name in get_args(Scheduler)], required=False)
    start = forms.ChoiceField(choices=STARTS, required=False, label="What the picture is for")
    start_picture = forms.UUIDField(required=False, widget=forms.HiddenInput)
    start_file = forms.FileField(required=False, label="Picture", help_text="PNG, JPEG or WebP.", widget=UPLOAD)
    start_mask = forms.FileField(
        required=False, label="Mask", help_text="Of the picture's size; white is made anew.", widget=UPLOAD
    )
    left = _margin("Left")
    right = _margin("Right")
    top = _margin("Top")
    bottom = _margin("Bottom")
    strength = forms.FloatField(
        min_value=0.01, max_value=1, required=False, help_text="How much of the picture is made anew: 0.01 to 1."
    )
    control_scale = forms.FloatField(
        min_value=0,
        max_value=2,
        required=False,
        label="Control strength",
        help_text="How strongly the control picture counts: 0 to 2.",
    )

    def __init__(
        self,
        project: Project,
        data: Mapping[str, Any] | None = None,
        files: MultiValueDict[str, Any] | None = None,
        *,
        like: Candidate | None = None,
    ) -> None:
        self.project = project
        self.picture: ConditioningImage | None = None
        self.notes: list[str] = []
        offered = ModelVersion.objects.renderable()
        last = GenerationRequest.objects.filter(project=project, kind=GenerationRequest.Kind.RENDER).order_by("-id")[:1]
        usual = [one.model_id for one in last] or [one.pk for one in offered[:1]]
        if project.generator is not None:
            usual = [project.generator.pk]  # what the last evaluation promoted
        # The form that annotators fill in says how many images it shows.
        initial = {
            "models": usual,
            "which": self.Which.ALL if Prompt.objects.for_rounds(project).exists() else self.Which.NEW,
            "seed_policy": self.Seeds.OWN,
            "images_per_prompt": project.template_version.form.images or 4,
        } | (_settings_like(like) if like else {})
        super().__init__(data, files, initial=initial)
        self._field("models").queryset = offered
        self._field("prompts").queryset = Prompt.objects.of_project(project)
        for name, field in self.fields.items():
            field.widget.attrs.setdefault("aria-describedby", f"id_{name}_help id_{name}_error")

    def _field(self, name: str) -> forms.ModelMultipleChoiceField[Any]:
        field = self.fields[name]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        return field

    # What the template draws by itself

    def offered(self) -> Iterator[tuple[ModelVersion, bool, Defaults]]:
        """Each model, whether it is chosen, and what it renders with where the form leaves a setting empty."""
        chosen = {str(one) for one in self["models"].value() or ()}
        for model in self._field("models").queryset or ():
            yield model, str(model.pk) in chosen, defaults_of(model)

    def chosen_prompts(self) -> list[Prompt]:
        """The prompts that are ticked so far."""
        ticked = self["prompts"].value() or []
        try:
            return list(Prompt.objects.of_project(self.project).filter(pk__in=ticked[:1_000]))
        except (ValueError, forms.ValidationError):
            return []

    def has_start(self) -> bool:
        """Whether a picture is asked for, or something about one is wrong, so that its part is shown."""
        parts = ("start", "start_picture", "start_file", "start_mask", *SIDES, "strength", "control_scale")
        return self["start"].value() not in (None, "", NOTHING) or any(name in self.errors for name in parts)

    def kept_picture(self) -> ConditioningImage | None:
        """The picture that is stored already, so that a form with a mistake elsewhere does not lose it."""
        if self.picture is not None or self.is_bound:
            return self.picture
        return ConditioningImage.objects.chosen(self.project, self.initial.get("start_picture"))

    def has_settings(self) -> bool:
        """Whether a setting is given or wrong, so that they are shown."""
        names = ("steps", "guidance_scale", "width", "height", "scheduler")
        given = any(self[name].value() not in (None, "", "default") for name in names)
        return given or any(name in self.errors for name in names)

    # What is typed, checked

    def clean_which(self) -> str:
        """All prompts unless something else is said."""
        return str(self.cleaned_data["which"] or self.Which.ALL)

    def clean_seed_policy(self) -> str:
        """Every image its own seed unless something else is said."""
        return str(self.cleaned_data["seed_policy"] or self.Seeds.OWN)

    def clean_width(self) -> int | None:
        """Check that models can make it."""
        return _multiple_of_8(self.cleaned_data["width"])

    def clean_height(self) -> int | None:
        """Check that models can make it."""
        return _multiple_of_8(self.cleaned_data["height"])

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        clean = self.cleaned_data
        which, policy = clean.get("which"), clean.get("seed_policy")
        if which == self.Which.CHOSEN and "prompts" in clean and not clean["prompts"]:
            self.add_error("prompts", "Tick at least one prompt.")
        if which == self.Which.NEW and "text" in clean and not clean["text"]:
            self.add_error("text", "Type the prompt.")
        if which != self.Which.CHOSEN:
            self.errors.pop("prompts", None)  # ticks that are not asked for, of a list that is out of sight
        if which in {self.Which.ALL, self.Which.BARE} and not self._prompts()[:1]:
            none = "Every prompt has images already." if which == self.Which.BARE else "The project has no prompts yet."
            self.add_error("which", f"{none} Choose other prompts, or type one.")
        if policy == self.Seeds.LISTED and "seeds" in clean:
            try:
                clean["seeds"] = _seeds(clean["seeds"], clean.get("images_per_prompt"))
            except forms.ValidationError as error:
                self.add_error("seeds", error)
        if (clean.get("start") or NOTHING) == NOTHING:
            for name in ("start_file", "start_mask", *SIDES, "strength", "control_scale"):
                self.errors.pop(name, None)
        elif clean.get("start") == "control":
            self.errors.pop("strength", None)
        return clean

    def take_picture(self, by: User, at: datetime) -> None:
        """Store the picture that was sent, or find the one that was kept; what is wrong with it is told at its field.

        It is stored even where another field is wrong: a browser does not send a file twice by itself.
        """
        kind = self.is_bound and not self.errors.get("start") and (self.cleaned_data.get("start") or NOTHING)
        if not kind or kind == NOTHING:
            return
        image, mask = (self.cleaned_data.get(name) for name in ("start_file", "start_mask"))
        margins = {side: self.cleaned_data.get(side) or 0 for side in SIDES} if kind == "outpaint" else None
        try:
            if image:
                added = add_picture(
                    self.project,
                    kind,
                    File(image.name, image.read(MAX_BYTES + 1)),
                    by,
                    at,
                    mask=File(mask.name, mask.read(MAX_BYTES + 1)) if mask and kind == "inpaint" else None,
                    margins=Margins.model_validate(margins) if margins else None,
                )
                self.picture, self.notes = added.picture, added.notes
            elif not self.errors.get("start_file"):
                self._take_kept_picture(kind)
        except Refusal as refusal:
            self.refuse(refusal, elsewhere="start_file")

    def _take_kept_picture(self, kind: str) -> None:
        kept = ConditioningImage.objects.chosen(self.project, self.cleaned_data.get("start_picture"))
        if kept is None:
            self.add_error("start_file", "Choose a picture.")
        elif kept.kind != kind:
            self.add_error("start_file", "The picture that is kept is for something else. Choose its file again.")
        else:
            self.picture = kept

    def _prompts(self) -> Any:
        """The prompts that are asked for, unread; without one that is typed, and held-out ones only where chosen."""
        every = Prompt.objects.for_rounds(self.project)
        which = self.cleaned_data.get("which")
        if which == self.Which.BARE:
            return every.bare()
        return self.cleaned_data.get("prompts", every.none()) if which == self.Which.CHOSEN else every

    def asked(self, *, preview: bool = False) -> Asked:
        """What is asked for; for a preview, one image of the first prompt by each model."""
        clean = self.cleaned_data
        new = clean["which"] == self.Which.NEW
        count = 1 if preview else clean["images_per_prompt"]
        seeds = None
        if clean["seed_policy"] == self.Seeds.LISTED:
            seeds = clean["seeds"][:count]
        elif clean["seed_policy"] == self.Seeds.SHARED or preview:
            seeds = [secrets.randbits(32) for _ in range(count)]
        kind = clean["start"] or NOTHING
        unused = {"control": {"strength"}, NOTHING: {"strength", "control_scale"}}.get(kind, {"control_scale"})
        given = {name: clean[name] for name in SETTINGS if clean.get(name) not in (None, "") and name not in unused}
        return Asked(
            models=tuple(clean["models"]),
            prompts=() if new else tuple(self._prompts()[:1] if preview else self._prompts()),
            new_prompt=(clean["text"], clean["negative"]) if new else None,
            images_per_prompt=count,
            seeds=seeds,
            settings=RenderSettings.model_validate(given),
            start=self.picture,
        )

    def refuse(self, refusal: Refusal, elsewhere: str | None = None) -> None:
        """Show a refusal at the field that it is about, where there is one, or `elsewhere`."""
        names = {
            "model": "models",
            "conditioning": "start_file",
            "kind": "start",
            "mask": "start_mask",
            "margins": "left",
        }
        told = False
        for name, reasons in refusal.fields.items():
            field = names.get(name, name)
            if field in self.fields and not self.errors.get(field):
                self.add_error(field, refusal.detail if reasons == ["none"] else " ".join(reasons))
                told = True
        if not told:
            self.add_error(elsewhere, refusal.detail)


def _seeds(text: str, count: int | None) -> list[int]:
    """Read seeds that are parted by commas or blanks, one for each of `count` images."""
    seeds = []
    for word in text.replace(",", " ").split():
        if not (word.isascii() and word.isdigit()) or int(word[:20]) > MAX_SEED:
            raise forms.ValidationError(f"{word[:30]!r} is no seed: a seed is a whole number from 0 to {MAX_SEED}.")
        seeds.append(int(word))
    if count and len(seeds) != count:
        typed = f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'} for {count} image{'' if count == 1 else 's'}"
        raise forms.ValidationError(f"{typed} a prompt: type one seed for each image.")
    return seeds


def _multiple_of_8(pixels: int | None) -> int | None:
    if pixels is not None and pixels % 8:
        below = max(16, pixels - pixels % 8)
        raise forms.ValidationError(f"{pixels} is no multiple of 8; {below} or {pixels - pixels % 8 + 8} is.")
    return pixels


def _settings_like(one: Candidate) -> dict[str, Any]:
    """What the form is filled with, for more images like one."""
    manifest, asked = one.manifest, one.request.settings
    said = {
        "models": [one.model_id],
        "which": GenerateForm.Which.CHOSEN,
        "prompts": [one.prompt_id],
        "seeds": "" if one.seed is None else str(one.seed),
        "steps": manifest.get("steps"),
        "guidance_scale": manifest.get("guidance_scale"),
        "width": manifest.get("width"),
        "height": manifest.get("height"),
        "scheduler": asked.get("scheduler"),
        "strength": asked.get("strength"),
        "control_scale": asked.get("control_scale"),
        "start_picture": one.request.conditioning_id,
        "start": one.request.conditioning.kind if one.request.conditioning else None,
    }
    try:
        RenderSettings.model_validate({name: said[name] for name in ("width", "height") if said[name]})
    except ValidationError:  # an image of a size that no request can ask for, from a service
        said |= {"width": None, "height": None}
    return {name: value for name, value in said.items() if value not in (None, "")}
