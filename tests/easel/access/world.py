"""What the access matrix is tried on: one of everything."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from easel.accounts.models import ApiToken, User
from easel.accounts.services import create_token, create_user
from easel.annotation.curate.acts import start as start_act
from easel.annotation.curate.choosing import Chosen
from easel.annotation.curate.filters import Filters
from easel.annotation.curate.subsets import make_subset, save_query
from easel.annotation.gold import making
from easel.annotation.models import Annotation, Assignment, BulkAct, Gold, Item, Review, SavedQuery, Subset
from easel.annotation.review.services import accept
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
from easel.projects.models import Invitation, Membership, Notice, Project
from easel.projects.notices import notify
from easel.projects.services import add_member, create_project, deactivate_member, invite
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
from rest_framework.test import APIClient

from generation.types import Failure
from tests import cast as stage
from tests import live
from tests.cast import Cast
from tests.easel.training import stage as training


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
    review: Review
    notice: Notice
    item: Item
    gold: Gold
    bulk_act: BulkAct
    query: SavedQuery
    subset: Subset
    token: ApiToken
    with_token: dict[str, APIClient]
    with_session: dict[str, APIClient]


def make_world(cast: Cast) -> World:
    """Two items that are ranked and frozen, three more, of which alice ranked one and bob holds one; a generation
    request with a dead part; an import; an invitation.
    """
    stage.make_items(cast, 5)
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
        "annotator": cast.bob,
        "stranger": create_user("frank", None),
        "admin": cast.erin,
        "foreign admin": cast.charlie,
        "engineer": cast.dave,
        "reviewer": stage.make_user("rita", cast.project, "reviewer"),
        "viewer": stage.make_user("victor", cast.project, "viewer"),
        "deactivated": stage.make_user("dora", cast.project, "admin"),
    }
    callers: dict[str, User | None] = {"anonymous": None, **people}
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
    for role in ("annotator", "engineer", "admin", "reviewer", "viewer"):
        add_member(studio, people[role], role, timezone.now())
    add_member(studio, people["deactivated"], "admin", timezone.now())
    for member in Membership.objects.filter(user=people["deactivated"]):
        deactivate_member(member, "owner", timezone.now())
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
    stage.annotate(cast.project, cast.alice)
    review = accept(Annotation.objects.filter(annotator=cast.erin)[0], people["reviewer"], timezone.now())
    notify(cast.project, "gold_failed", "bob missed gold.", timezone.now(), about=cast.bob)
    held = stage.lease(cast.project, cast.bob)  # while there is no gold: what bob holds is an item to rank
    item = Item.objects.to_rank().filter(project=cast.project, request__kind="render").earliest("id")
    answer = making.answer_of([[str(pk)] for pk in item.candidates.values_list("pk", flat=True)])
    gold = making.make(item, answer, cast.alice, timezone.now())
    return World(
        bulk_act=start_act(cast.project, "flag", Chosen((item.pk,)), {}, cast.erin, timezone.now()),
        query=save_query(cast.project, "All", Filters(), cast.erin, timezone.now()),
        subset=make_subset(cast.project, "Some", cast.erin, timezone.now()),
        cast=cast,
        template=template,
        request=request,
        waiting=waiting,
        paused=paused,
        attempt=attempt(studio, {"prompt": "a live icon"}, cast.bob, timezone.now()),
        studio=studio,
        candidate=Candidate.objects.of_project(cast.project)[0],
        assignment=held,
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
        review=review,
        notice=Notice.objects.get(project=cast.project),
        item=item,
        gold=gold,
        token=create_token(cast.bob, "script")[0],
        with_token={name: stage.client_of(user) for name, user in callers.items()},
        with_session={name: stage.browser_of(user) if user else APIClient() for name, user in callers.items()},
    )


def picture_file() -> SimpleUploadedFile:
    """Return a small picture, to be uploaded once."""
    return SimpleUploadedFile("pear.png", stage.draw(7))
