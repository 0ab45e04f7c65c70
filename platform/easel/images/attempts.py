"""Attempts of a live form: somebody types a prompt, presses Generate, and waits for the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from pydantic import ValidationError

from easel.accounts.models import User
from easel.common.errors import Conflict, InvalidInput, Refusal
from easel.common.models import Job
from easel.common.pictures import BadPicture
from easel.forms.components.generate import Generate
from easel.forms.components.model_select import ModelSelect
from easel.forms.definition import Definition, InvalidAnswers
from easel.images import services
from easel.images.asking import typed_prompt
from easel.images.models import Attempt, Candidate, GenerationRequest
from easel.projects.models import Project
from easel.prompts.conditioning import start_from
from easel.prompts.models import ConditioningImage, Prompt
from easel.registry.models import ModelVersion, NotRenderable
from generation.storage import StorageError
from generation.types import RenderSettings


class QuotaReached(Refusal):
    """As many images as may be made live in a day were asked for."""

    code = "quota_reached"
    status = 429


@transaction.atomic
def attempt(
    project: Project, values: Mapping[str, Any], by: User, at: datetime, vary: UUID | None = None
) -> GenerationRequest:
    """Ask for the images that `values`, by component name, describe; `vary` is an image of one's own to start from.

    What the same person still has running in the project ends here: whoever generates again is no longer waiting for
    it. Raises InvalidAnswers (400) that names the component, Conflict where the form is not live, QuotaReached.
    """
    version = project.template_version
    form = version.form
    if not form.live:
        raise Conflict(
            "The form of this project has no Generate button: its images are made ahead. Rank those, or move the "
            "project to a version of its template that has one."
        )
    checked = form.check_attempt(values)
    model = _model(project, form, checked.model)
    # Of two tabs, and of all who generate at this moment, each waits for the one before: so each counts what that took.
    project = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    prompt = _prompt(project, form, checked.prompt, checked.negative, at)
    varied = _own_image(project, by, vary) if vary else None
    start = _start(project, form, varied, by, at) if varied else None
    _end_running(project, by, at)
    _count(project, by, checked.count, at)
    request = services.request_images(
        project,
        model,
        [prompt],
        by,
        at,
        images_per_prompt=checked.count,
        seeds=_seeds(checked.seed, checked.count),
        settings_=_settings(form, checked.settings, varied=start is not None),
        lane=Job.Lane.LIVE,
        kind=GenerationRequest.Kind.LIVE,
        conditioning=start,
        audience=GenerationRequest.Audience.REQUESTER,
        overlap=1,
    )
    Attempt.objects.create(
        request=request,
        project=project,
        annotator=by,
        template_version=version,
        prompt=prompt,
        varies=varied,
        values=dict(values),
        created_at=at,
    )
    return request


def _refuse(form: Definition, kind: str, message: str) -> InvalidAnswers:
    """Return a refusal that names the form's component of that kind, or its button where it has none."""
    name = form.first(kind) or form.first("generate") or "generate"
    return InvalidAnswers(f"{name} {message}", fields={name: [message]})


def _model(project: Project, form: Definition, chosen: UUID | None) -> ModelVersion:
    """Return the model that was chosen, else the one that makes the project's images. Raises InvalidAnswers."""
    offered = next((part.models for part in form.walk() if isinstance(part, ModelSelect)), ())
    if chosen is None and offered:
        there = choices(form)
        if not there:
            message = "offers models of which none exists any more. Ask whoever builds the template to choose others."
            raise _refuse(form, "model_select", message)
        return next((one for one in there if one == project.generator), there[0])
    if chosen is None:
        usual = ModelVersion.objects.usual_of(project.generator)
        if usual is None:
            raise _refuse(form, "model_select", "finds no model to generate with. Ask a site admin to register one.")
        return usual
    mend = "Choose another one, and ask whoever builds the template to take it off the list."
    found = ModelVersion.objects.select_related("base").filter(pk=chosen).first()
    if found is None:
        raise _refuse(form, "model_select", f"names the model {chosen}, which does not exist any more. {mend}")
    try:
        reference = found.reference()
    except NotRenderable as refusal:
        raise _refuse(form, "model_select", f"cannot take {found.name}: {refusal.detail} {mend}") from refusal
    if reference.controlnet is not None:
        raise _refuse(form, "model_select", f"names {found.name}, a ControlNet, which needs a control picture. {mend}")
    return found


def _prompt(project: Project, form: Definition, text: str, negative: str, at: datetime) -> Prompt:
    """Return the prompt of these words. Raises InvalidAnswers for one that is kept for evaluations."""
    if Prompt.objects.held_out(project).filter(text=text).exists():
        raise _refuse(form, "prompt", "is kept for evaluations, so nothing may be learnt from it. Change it.")
    return typed_prompt(project, text, negative, at)


def _own_image(project: Project, by: User, pk: UUID) -> Candidate:
    """Return an image that the same person had made in this project. Raises InvalidInput for any other."""
    own = Candidate.objects.filter(request__attempt__project=project, request__attempt__annotator=by)
    found = own.filter(pk=pk).first()
    if found is None:
        message = f"{pk} is no image of your own attempts in this project. Choose one of those."
        raise InvalidInput(message, fields={"vary": [message]})
    return found


def _start(project: Project, form: Definition, varied: Candidate, by: User, at: datetime) -> ConditioningImage:
    if not _button(form).vary:
        message = "The form of this project does not offer to vary an image. Generate anew."
        raise InvalidInput(message, fields={"vary": [message]})
    try:
        return start_from(project, varied.key, (varied.width, varied.height), by, at)
    except (BadPicture, StorageError) as error:
        message = f"Nothing can start from this image: {error}. Choose another one."
        raise InvalidInput(message, fields={"vary": [message]}) from error


def _settings(form: Definition, chosen: Mapping[str, Any], *, varied: bool) -> RenderSettings:
    """Return the settings as a worker takes them: a varied image keeps its size, and has a strength."""
    settings = dict(chosen)
    if varied:
        settings = {name: value for name, value in settings.items() if name not in {"width", "height"}}
        settings.setdefault("strength", _button(form).strength)
    try:
        return RenderSettings.model_validate(settings)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise _refuse(form, "settings", f"has a {where} that cannot be: {problem['msg']}.") from error


def _button(form: Definition) -> Generate:
    return next(part for part in form.walk() if isinstance(part, Generate))


def _seeds(first: int | None, count: int) -> list[int] | None:
    """Return a seed for each image, counted on from the one that was entered; None: drawn by chance."""
    return None if first is None else [first + number for number in range(count)]


def _end_running(project: Project, by: User, at: datetime) -> None:
    """Cancel what the person waits for; its images so far stay in the history."""
    for running in GenerationRequest.objects.attempts_of(project, by).filter(cancelled_at=None).still_made():
        try:
            services.cancel(running, at)
        except Conflict:  # its last image came this very moment
            continue


@dataclass(frozen=True)
class Quota:
    """How many images may still be made live today."""

    left_of_person: int
    left_of_project: int
    resets_at: datetime


def quota_of(project: Project, by: User, at: datetime) -> Quota:
    """Return what is left of the day, which is one of UTC. What was asked for counts, whether or not it was made."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Quota(
        max(0, project.live_quota_person - Attempt.objects.images_since(midnight, project, by)),
        max(0, project.live_quota_project - Attempt.objects.images_since(midnight, project)),
        midnight + timedelta(days=1),
    )


def _count(project: Project, by: User, images: int, at: datetime) -> None:
    """Raise QuotaReached where a locked project has no room for so many images today."""
    quota = quota_of(project, by, at)
    for whose, left, limit in (
        ("your", quota.left_of_person, project.live_quota_person),
        ("the project's", quota.left_of_project, project.live_quota_project),
    ):
        if images <= left:
            continue
        if limit == 0:
            detail = "Generating in the form is switched off in this project: its quota is 0 images a day."
        elif left:
            detail = (
                f"{left:,} of {whose} {limit:,} images of today are left, and this asks for {images:,}. Ask for fewer; "
                "the count starts anew at 00:00 UTC."
            )
        else:
            detail = f"All of {whose} {limit:,} images of today are used; the count starts anew at 00:00 UTC."
        raise QuotaReached(
            f"{detail} An owner or admin of the project can raise the number in its settings.",
            extra={"left": left, "resets_at": quota.resets_at.isoformat()},
        )


def choices(form: Definition) -> list[ModelVersion]:
    """Return the models that a live form's Select offers, newest first: those it names, or all that can generate."""
    named = next((part.models for part in form.walk() if isinstance(part, ModelSelect)), None)
    if named is None:
        return []
    models = ModelVersion.objects.renderable_from_words()
    return [one for one in models if not named or one.pk in named]
