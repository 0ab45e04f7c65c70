"""Every address x every kind of caller. A route without a row here fails, and so does a row without a route.

Each case is one real request in a savepoint of its own, so that none sees what another did.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from easel.accounts.models import ApiToken
from easel.accounts.services import create_token, create_user
from easel.annotation.models import Assignment
from easel.common import jobs
from easel.common.models import Job
from easel.evaluation.models import Evaluation, ScoreJob, Simulation
from easel.evaluation.services import start_evaluation
from easel.evaluation.simulation import start_simulation
from easel.forms.drafts import publish_draft, save_draft
from easel.forms.models import Template
from easel.images import imports
from easel.images.attempts import attempt
from easel.images.models import Candidate, GenerationRequest, ImageImport
from easel.images.services import pause
from easel.projects.models import Invitation, Membership, Project
from easel.projects.services import add_member, create_project, invite
from easel.projects.template_services import make_template
from easel.prompts.conditioning import File, add_picture
from easel.prompts.models import ConditioningImage, Prompt, PromptImport
from easel.prompts.services import preview_import
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import freeze_next, take_snapshot
from easel.training.models import FinetuneRun
from easel.training.services import pause as pause_run
from easel.training.services import report
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from generation.storage import MODEL_PATH_VARIABLE
from generation.types import Failure
from tests import cast as stage
from tests import live
from tests.cast import Cast, make_cast
from tests.easel.training import stage as training

CALLERS = ("anonymous", "annotator", "stranger", "admin", "foreign admin", "engineer")
OPEN = (200,) * 6
SIGNED_IN = (401, 200, 200, 200, 200, 200)
INSPECT = (401, 403, 404, 200, 404, 200)
PAGE_OF_INSPECTORS = (302, 403, 404, 200, 404, 200)
PAGE_OF_MANAGERS = (302, 403, 404, 200, 404, 403)
ACT_OF_MANAGERS = (302, 403, 404, 302, 404, 403)
BOBS_OWN = (401, 200, 404, 404, 404, 404)

# name: {method: the status for each of CALLERS}. Methods that are not named must answer 405. The assignments, and the
# token of `delete_token`, are the annotator's own: not even an admin may have them.
MATRIX: dict[str, dict[str, tuple[int, ...]]] = {
    "healthz": {"GET": OPEN},
    "readyz": {"GET": OPEN},
    "api:schema": {"GET": OPEN},
    "api:me": {"GET": SIGNED_IN},
    "api:profile": {"GET": SIGNED_IN, "PUT": SIGNED_IN},
    "api:templates": {"GET": SIGNED_IN},
    "api:template_schema": {"GET": SIGNED_IN},
    "api:template": {
        "GET": INSPECT,
        "PATCH": (401, 403, 404, 200, 404, 403),
        "DELETE": (401, 403, 404, 204, 404, 403),
    },
    "api:template_draft": {"GET": INSPECT, "PUT": (401, 403, 404, 200, 404, 403)},
    "api:template_versions": {"GET": (401, 200, 404, 200, 404, 200), "POST": (401, 403, 404, 201, 404, 403)},
    "api:template_version": {"GET": (401, 200, 404, 200, 404, 200)},
    "api:template_differences": {"GET": INSPECT},
    "api:template_dry_run": {"POST": INSPECT},
    "api:project_templates": {"POST": (401, 403, 404, 201, 404, 403)},
    "api:project_template": {"PUT": (401, 403, 404, 200, 404, 403)},
    "preview_template": {"POST": (302, 200, 200, 200, 200, 200)},
    "template_preview": {"GET": (302, 200, 200, 200, 200, 200)},
    "templates": {"GET": PAGE_OF_INSPECTORS},
    "new_template": {"POST": ACT_OF_MANAGERS},
    "template": {"GET": PAGE_OF_INSPECTORS, "POST": ACT_OF_MANAGERS},
    "build_template": {"GET": PAGE_OF_MANAGERS},
    "publish_template": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "export_template": {"GET": PAGE_OF_INSPECTORS},
    "delete_template": {"POST": ACT_OF_MANAGERS},
    "use_template": {"POST": ACT_OF_MANAGERS},
    "api:models": {"GET": SIGNED_IN, "POST": (401, 403, 403, 403, 403, 403)},  # tests/easel/registry: site admins only
    "api:model": {"GET": SIGNED_IN},
    "api:projects": {"GET": SIGNED_IN, "POST": (401, 201, 201, 201, 201, 201)},
    "api:project": {"GET": (401, 200, 404, 200, 404, 200)},
    "api:prompts": {"GET": INSPECT, "POST": (401, 403, 404, 201, 404, 403)},
    "api:generations": {"GET": INSPECT, "POST": (401, 403, 404, 202, 404, 202)},
    "api:assignments": {"POST": (401, 201, 404, 201, 404, 403)},
    "api:annotations": {"GET": INSPECT},
    "api:progress": {"GET": (401, 200, 404, 200, 404, 403)},
    "api:export": {"GET": INSPECT},
    "api:generation": {"GET": INSPECT},
    "api:generation_candidates": {"GET": INSPECT},
    "api:generation_retries": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:generation_cancel": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:generation_pause": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:generation_resume": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:attempts": {"GET": (401, 200, 404, 200, 404, 403), "POST": (401, 202, 404, 202, 404, 403)},
    "api:attempt": {"GET": BOBS_OWN},
    "api:attempt_cancel": {"POST": (401, 202, 404, 404, 404, 404)},
    "api:assignment": {"GET": BOBS_OWN},
    "api:assignment_annotation": {"PUT": (401, 201, 404, 404, 404, 404)},
    "api:assignment_draft": {"PUT": BOBS_OWN},
    "api:assignment_skip": {"POST": (401, 201, 404, 404, 404, 404)},
    "api:assignment_heartbeat": {"PUT": BOBS_OWN},
    "api:evaluations": {"GET": INSPECT, "POST": (401, 403, 404, 202, 404, 202)},
    "api:evaluation": {"GET": INSPECT},
    "api:evaluation_promotion": {"POST": (401, 403, 404, 201, 404, 403)},
    "api:leaderboard": {"GET": INSPECT},
    "api:simulations": {"GET": INSPECT, "POST": (401, 403, 404, 202, 404, 403)},
    "api:simulation": {"GET": INSPECT},
    "evaluations": {"GET": PAGE_OF_INSPECTORS},
    "new_evaluation": {"GET": (302, 403, 404, 200, 404, 200), "POST": (302, 403, 404, 302, 404, 302)},
    "evaluation": {"GET": PAGE_OF_INSPECTORS},
    "promote": {"POST": ACT_OF_MANAGERS},
    "retry_evaluation": {"POST": (302, 403, 404, 302, 404, 302)},
    "leaderboard": {"GET": PAGE_OF_INSPECTORS},
    "hold_out": {"POST": ACT_OF_MANAGERS},
    "simulations": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "cancel_simulation": {"POST": ACT_OF_MANAGERS},
    "sign_in": {"GET": (200, 302, 302, 302, 302, 302), "POST": (200, 302, 302, 302, 302, 302)},
    "sign_out": {"POST": (302,) * 6},
    "account": {"GET": (302, 200, 200, 200, 200, 200), "POST": (302, 200, 200, 200, 200, 200)},
    "profile": {"GET": (302, 200, 200, 200, 200, 200), "POST": (302, 200, 200, 200, 200, 200)},
    "delete_token": {"POST": (302, 302, 404, 404, 404, 404)},
    "models": {"GET": (302, 200, 200, 200, 200, 200)},
    "new_model": {"GET": (302, 403, 403, 403, 403, 403), "POST": (302, 403, 403, 403, 403, 403)},
    "model": {"GET": (302, 200, 200, 200, 200, 200)},
    "projects": {"GET": (302, 200, 200, 200, 200, 200)},
    "new_project": {"GET": (302, 200, 200, 200, 200, 200), "POST": (302, 302, 302, 302, 302, 302)},
    "overview": {"GET": (302, 302, 404, 200, 404, 200)},
    "rank": {"GET": (302, 200, 404, 200, 404, 403)},
    "prompts": {"GET": PAGE_OF_INSPECTORS},
    "new_import": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "prompt_import": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "generations": {"GET": PAGE_OF_INSPECTORS, "POST": (302, 403, 404, 302, 404, 302)},
    "prompt_choices": {"GET": (302, 403, 404, 200, 404, 200)},
    "previews": {
        "GET": (302, 403, 404, 200, 404, 200),
        "POST": (302, 403, 404, 200, 404, 200),
        "DELETE": (302, 403, 404, 200, 404, 200),
    },
    "gallery": {"GET": PAGE_OF_INSPECTORS},
    "side_by_side": {"GET": PAGE_OF_INSPECTORS},
    "annotations": {"GET": PAGE_OF_INSPECTORS},
    "export": {"GET": PAGE_OF_INSPECTORS},
    "api:snapshots": {"GET": INSPECT, "POST": (401, 403, 404, 202, 404, 202)},
    "api:snapshot": {"GET": INSPECT},
    "api:snapshot_download": {"GET": INSPECT},
    "snapshots": {"GET": PAGE_OF_INSPECTORS},
    "new_snapshot": {"GET": PAGE_OF_INSPECTORS, "POST": (302, 403, 404, 302, 404, 302)},
    "snapshot_count": {"GET": PAGE_OF_INSPECTORS},
    "snapshot": {"GET": PAGE_OF_INSPECTORS},
    "api:finetunes": {"GET": INSPECT, "POST": (401, 403, 404, 202, 404, 202)},
    "api:finetune": {"GET": INSPECT},
    "api:finetune_points": {"GET": INSPECT},
    "api:finetune_retries": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:finetune_cancel": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:finetune_pause": {"POST": (401, 403, 404, 202, 404, 202)},
    "api:finetune_resume": {"POST": (401, 403, 404, 202, 404, 202)},
    "finetunes": {"GET": PAGE_OF_INSPECTORS, "POST": (302, 403, 404, 302, 404, 302)},
    "finetune_settings": {"GET": PAGE_OF_INSPECTORS},
    "finetune": {"GET": PAGE_OF_INSPECTORS},
    "finetune_figures": {"GET": PAGE_OF_INSPECTORS},
    "finetune_sample": {"GET": PAGE_OF_INSPECTORS},
    "retry_finetune": {"POST": (302, 403, 404, 302, 404, 302)},
    "pause_finetune": {"POST": (302, 403, 404, 302, 404, 302)},
    "resume_finetune": {"POST": (302, 403, 404, 302, 404, 302)},
    "cancel_finetune": {"POST": (302, 403, 404, 302, 404, 302)},
    "people": {"GET": PAGE_OF_MANAGERS, "POST": PAGE_OF_MANAGERS},
    "member_role": {"POST": ACT_OF_MANAGERS},
    "remove_member": {"POST": ACT_OF_MANAGERS},
    "withdraw_invitation": {"POST": ACT_OF_MANAGERS},
    "project_settings": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "invitation": {"GET": OPEN, "POST": (200, 302, 302, 302, 302, 302)},
    "retry_generation": {"POST": (302, 403, 404, 302, 404, 302)},
    "pause_generation": {"POST": (302, 403, 404, 302, 404, 302)},
    "resume_generation": {"POST": (302, 403, 404, 302, 404, 302)},
    "cancel_generation": {"POST": (302, 403, 404, 302, 404, 302)},
    "image": {"GET": (401, 200, 404, 200, 404, 200)},
    "api:conditioning": {"GET": INSPECT, "POST": (401, 403, 404, 201, 404, 201)},
    "conditioning_picture": {"GET": (401, 200, 404, 200, 404, 200)},
    "pictures": {"GET": PAGE_OF_INSPECTORS, "POST": (302, 403, 404, 302, 404, 302)},
    "api:images": {"POST": (401, 403, 404, 201, 404, 403)},
    "new_image_import": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "image_import": {"GET": PAGE_OF_MANAGERS, "POST": ACT_OF_MANAGERS},
    "imported_picture": {"GET": PAGE_OF_MANAGERS},
    "download": {"GET": (401, 403, 404, 200, 404, 200)},
}


@dataclass(frozen=True)
class World:
    """One of everything that an address can name, and a client for every kind of caller."""

    cast: Cast
    template: Template
    request: GenerationRequest
    waiting: GenerationRequest
    paused: GenerationRequest
    attempt: GenerationRequest
    studio: Project
    candidate: Candidate
    assignment: Assignment
    preview: PromptImport
    images: ImageImport
    picture: ConditioningImage
    evaluation: Evaluation
    simulation: Simulation
    snapshot: DatasetSnapshot
    failed_run: FinetuneRun
    waiting_run: FinetuneRun
    paused_run: FinetuneRun
    invitation: Invitation
    secret: str
    member: Membership
    token: ApiToken
    with_token: dict[str, APIClient]
    with_session: dict[str, APIClient]


@pytest.fixture(scope="module")
def world(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One world for all cases: each is rolled back by itself, and the world after the last."""
    root = tmp_path_factory.mktemp("matrix")
    stage.make_model_folder(root / "models" / "painter")
    with (
        pytest.MonkeyPatch.context() as patch,
        override_settings(STORAGE_URL=(root / "storage").as_uri(), CHUNK_IMAGES=4),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        patch.setenv(MODEL_PATH_VARIABLE, str(root / "models"))
        picture = (root / "models" / "painter" / "model_index.json", "image/png")
        patch.setattr("easel.projects.template_views.preview_of", lambda key: picture)
        yield make_world(make_cast())
        transaction.set_rollback(True)


def make_world(cast: Cast) -> World:
    """Two items that are ranked and frozen, two more, one of them leased to bob; a generation request with a dead
    part; an import; an invitation.
    """
    stage.make_items(cast, 4)
    stage.annotate(cast.project, cast.erin, 2)
    snapshot = take_snapshot(cast.project, cast.dave, timezone.now())
    assert freeze_next("a test")
    snapshot.refresh_from_db()
    request = stage.generate(cast, stage.make_prompts(cast.project, "a broken icon"))
    failure = Failure(lease=stage.claim().lease, code="bad_model", reason="It has no weights.", retryable=False)
    jobs.fail(failure, timezone.now())
    waiting, paused = (stage.generate(cast, list(cast.project.prompts.all())) for _ in range(2))
    pause(paused, timezone.now())
    invitation, secret = invite(cast.project, "annotator", cast.alice, "owner", timezone.now(), days=7, max_uses=9)
    people = {
        "anonymous": None,
        "annotator": cast.bob,
        "stranger": create_user("frank", None),
        "admin": cast.erin,
        "foreign admin": cast.charlie,
        "engineer": cast.dave,
    }
    rival = ModelVersion.objects.create(
        name="Rival", location="folder:rival", family="lora", kind="adapter", base=cast.model, created_at=timezone.now()
    )
    held_out = stage.make_prompts(cast.project, "an icon to compare by")
    Prompt.objects.filter(pk=held_out[0].pk).update(held_out=True)
    evaluation = start_evaluation(cast.project, cast.alice, timezone.now(), a=cast.model, b=rival)
    part = Job.objects.create(kind="score", state=Job.State.DEAD, created_at=timezone.now(), not_before=timezone.now())
    ScoreJob.objects.create(job=part, request=evaluation.request, model=rival, judge="referee", prompts=0)
    simulation = start_simulation(cast.project, cast.alice, timezone.now(), taste="careless", rankings=5)
    found = imports.read_files(cast.project, [imports.Upload("a.png", stage.draw(3), imports.Said(prompt="a pear"))])
    studio = live.go_live(create_project("Studio", cast.project.template_version, cast.alice, timezone.now()))
    for user, role in ((cast.bob, "annotator"), (cast.dave, "engineer"), (cast.erin, "admin")):
        add_member(studio, user, role, timezone.now())
    failed_run, waiting_run, paused_run = (training.start(cast, snapshot) for _ in range(3))
    claimed = training.claim()
    report(training.told(claimed), timezone.now())
    training.failed(claimed)
    pause_run(paused_run, timezone.now())
    version = cast.project.template_version
    template = make_template(cast.project, "Mine", version.definition, cast.alice, timezone.now())
    publish_draft(template, 1, cast.alice, timezone.now())
    shorter = {**version.definition, "components": version.definition["components"][:-1]}
    save_draft(template, shorter, 1, cast.alice, timezone.now())
    return World(
        cast=cast,
        template=template,
        request=request,
        waiting=waiting,
        paused=paused,
        attempt=attempt(studio, {"prompt": "a live icon"}, cast.bob, timezone.now()),
        studio=studio,
        candidate=Candidate.objects.of_project(cast.project)[0],
        assignment=stage.lease(cast.project, cast.bob),
        preview=preview_import(cast.project, "more.txt", b"one more icon", cast.erin, timezone.now()),
        images=imports.keep_preview(cast.project, found, cast.erin, timezone.now()),
        picture=add_picture(cast.project, "image", File("a.png", stage.draw(5)), cast.dave, timezone.now()).picture,
        evaluation=evaluation,
        simulation=simulation,
        snapshot=snapshot,
        failed_run=failed_run,
        waiting_run=waiting_run,
        paused_run=paused_run,
        invitation=invitation,
        secret=secret,
        member=Membership.objects.get(project=cast.project, user=cast.dave),
        token=create_token(cast.bob, "script")[0],
        with_token={name: stage.client_of(user) for name, user in people.items()},
        with_session={name: stage.browser_of(user) if user else APIClient() for name, user in people.items()},
    )


def arguments(name: str, world: World) -> list[Any]:
    """Return what an address of that name names."""
    plain = name.removeprefix("api:")
    project = world.cast.project.pk
    if plain == "template_version":
        return [world.template.pk, 1]
    if plain in {"template_draft", "template_versions", "template_differences", "template_dry_run"}:
        return [world.template.pk]
    if plain in {"template", "publish_template", "export_template", "delete_template", "build_template"}:
        return [world.template.pk] if name.startswith("api:") else [project, world.template.pk]
    if plain in {"generation", "generation_candidates", "generation_retries", "retry_generation"}:
        return [world.request.pk]
    if plain in {"generation_cancel", "generation_pause", "cancel_generation", "pause_generation"}:
        return [world.waiting.pk]
    if plain in {"generation_resume", "resume_generation"}:
        return [world.paused.pk]
    if plain in {"evaluation", "evaluation_promotion", "promote", "retry_evaluation"}:
        return [world.evaluation.pk]
    if name in {"api:snapshot", "api:snapshot_download"}:
        return [world.snapshot.pk]
    if plain in {"simulation", "cancel_simulation"}:
        return [world.simulation.pk]
    if plain == "finetune":
        return [world.failed_run.pk] if name.startswith("api:") else [project, world.failed_run.pk]
    if plain in {"finetune_points", "finetune_retries", "retry_finetune", "finetune_figures"}:
        return [world.failed_run.pk]
    if plain in {"finetune_cancel", "finetune_pause", "cancel_finetune", "pause_finetune"}:
        return [world.waiting_run.pk]
    if plain in {"finetune_resume", "resume_finetune"}:
        return [world.paused_run.pk]
    if plain == "finetune_sample":
        return [world.failed_run.pk, 4, 0]
    if plain == "attempts":
        return [world.studio.pk]
    if plain in {"attempt", "attempt_cancel"}:
        return [world.attempt.pk]
    if plain.startswith("assignment_") or plain == "assignment":
        return [world.assignment.pk]
    named: dict[str, list[Any]] = {
        "template_preview": [stage.TEMPLATE],
        "model": [world.cast.model.pk],
        "delete_token": [world.token.token_key],
        "prompt_import": [project, world.preview.pk],
        "member_role": [project, world.member.pk],
        "remove_member": [project, world.member.pk],
        "withdraw_invitation": [project, world.invitation.pk],
        "invitation": [world.secret],
        "image": [world.candidate.pk],
        "download": [world.candidate.pk],
        "image_import": [project, world.images.pk],
        "snapshot": [project, world.snapshot.pk],
        "imported_picture": [project, world.images.pk, 0],
        "conditioning_picture": [world.picture.pk],
    }
    return named.get(plain, [project] if "projects/<uuid:pk>/" in routes()[name] else [])


def body(name: str, method: str, world: World) -> dict[str, Any]:
    """Return a body that somebody who may do it succeeds with."""
    if method not in {"POST", "PUT", "PATCH"}:
        return {}
    bodies: dict[str, dict[str, Any]] = {
        "api:projects": {"name": "Mine", "template": stage.TEMPLATE},
        "api:template": {"name": "Theirs"},
        "api:template_draft": {"definition": {"components": []}, "version": 2},
        "api:template_versions": {"draft_version": 2},
        "api:project_templates": {"name": "Yours", "from": stage.TEMPLATE},
        "api:project_template": {"version": str(world.template.latest().pk)},
        "new_template": {"start": stage.TEMPLATE},
        "preview_template": {"definition": '{"components": [{"type": "divider", "name": "line"}]}'},
        "template": {"name": "Theirs"},
        "publish_template": {"draft_version": 2},
        "use_template": {"version": world.template.latest().pk},
        "api:prompts": {"prompts": ["an icon of a pear"]},
        "api:generations": {"model": "Painter"},
        "new_evaluation": {
            "a": world.cast.model.pk,
            "b": world.evaluation.b.pk,
            "which": "held_out",
            "who": "people",
            "images_per_prompt": 1,
            "overlap": 1,
        },
        "hold_out": {"percent": 50},
        "simulations": {"taste": "careless", "rankings": 5, "annotators": 1, "noise": 20},
        "api:evaluations": {"a": "Painter", "b": "Rival"},
        "api:simulations": {"taste": "careless", "rankings": 5},
        "api:attempts": {"values": {"prompt": "another live icon"}},
        "api:assignment_annotation": {"answers": stage.answers_for(world.assignment), "active_ms": 900},
        "api:assignment_draft": {"answers": {}, "version": 0},
        "api:assignment_skip": {"reason": "unsure"},
        "sign_in": {"username": "bob", "password": "wrong"},
        "account": {"name": "laptop"},
        "new_project": {
            "name": "Mine",
            "template": world.cast.project.template_version.template_id,
            "overlap": 1,
        },
        "new_import": {"text": "a pear\nan apple"},
        "api:images": {"files": picture_file(), "prompt": "a pear"},
        "api:conditioning": {"image": picture_file(), "kind": "image"},
        "pictures": {"image": picture_file(), "kind": "image"},
        "new_image_import": {"images": picture_file(), "prompt": "a pear"},
        "generations": {"models": world.cast.model.pk, "images_per_prompt": 2},
        "previews": {"models": world.cast.model.pk, "images_per_prompt": 2},
        "api:finetunes": {"snapshot": str(world.snapshot.pk), "base_model": "Painter", "config": {"steps": 9}},
        "finetunes": {"snapshot": world.snapshot.pk, "base": world.cast.model.pk, "method": "dpo", "steps": "9"},
        "people": {"role": "annotator", "days": 7, "max_uses": 1},
        "member_role": {"role": "annotator"},
        "new_snapshot": {"validation": 5, "test": 5, "seed": 0},
        "project_settings": {"name": "Icons", "guidelines": "Be kind."},
    }
    return bodies.get(name, {})


def picture_file() -> SimpleUploadedFile:
    """Return a small picture, to be uploaded once."""
    return SimpleUploadedFile("pear.png", stage.draw(7))


@cache
def routes() -> dict[str, str]:
    """Return every address of the URLconf by its name."""
    return dict(_walk(get_resolver().url_patterns))


def _walk(patterns: list[URLPattern | URLResolver], route: str = "", namespace: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, here, f"{namespace}{pattern.namespace}:")
        else:
            yield f"{namespace}{pattern.name}", here


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert set(routes()) == set(MATRIX)


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_everybody_gets_what_the_matrix_says(name: str, world: World) -> None:
    clients = world.with_token if name.startswith("api:") else world.with_session
    address = reverse(name, args=arguments(name, world))
    found = {
        method: tuple(status(clients[caller], method, address, body(name, method, world)) for caller in CALLERS)
        for method in MATRIX[name]
    }
    assert found == MATRIX[name]
    caller = "anonymous" if name == "sign_in" else "admin"  # who is signed in is led away from there at once
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(MATRIX[name]):
        assert status(clients[caller], method, address, {}) == 405, method


def status(client: APIClient, method: str, address: str, data: dict[str, Any]) -> int:
    """Send one request and take back what it did, to the client too: signing out loses its cookies."""
    cookies = deepcopy(client.cookies)
    files = any(isinstance(value, SimpleUploadedFile) for value in data.values())
    kind = "json" if address.startswith("/api/") and not files else "multipart"
    with transaction.atomic():
        response = client.generic(method, address, **_encoded(client, data, kind))
        getattr(response, "getvalue", bytes)()  # a stream is read to its end
        transaction.set_rollback(True)
    client.cookies = cookies
    return int(response.status_code)


def _encoded(client: APIClient, data: dict[str, Any], kind: str) -> dict[str, Any]:
    content, content_type = client._encode_data(data, format=kind)  # type: ignore[attr-defined]
    return {"data": content, "content_type": content_type}
