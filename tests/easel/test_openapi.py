"""The OpenAPI document is up to date, and the API keeps to it whatever it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from easel.accounts.services import create_token
from easel.annotation.curate.acts import start as start_act
from easel.annotation.curate.choosing import Chosen
from easel.annotation.curate.filters import Filters
from easel.annotation.curate.subsets import make_subset, save_query
from easel.annotation.gold import making
from easel.annotation.review.services import accept, remark
from easel.evaluation.services import start_evaluation
from easel.evaluation.simulation import start_simulation
from easel.images.attempts import attempt
from easel.projects.models import Membership, Notice
from easel.projects.notices import notify
from easel.projects.services import create_project, invite
from easel.prompts.conditioning import File, add_picture
from easel.registry.models import ModelVersion
from easel.wsgi import application
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.cast import Cast, annotate, draw, lease, make_items
from tests.easel.training import stage as training
from tests.live import go_live

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "reference" / "openapi.yaml"
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_the_committed_document_is_up_to_date_and_valid(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(made), validate=True, fail_on_warn=True)
    assert made.read_text() == DOCUMENT.read_text(), "make it anew as CONTRIBUTING.md says"


# The committed document, which the test above holds up to date: reading it needs no server at collection.
described = schemathesis.openapi.from_path(DOCUMENT)
described.app = application


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """Requests end without closing the connection that holds the test's transaction, as in Django's own client."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture
def targets(cast: Cast, one_connection: None) -> dict[str, str]:
    """Real ids for each kind of address, so that what is sent gets past the access doors."""
    snapshot = training.frozen(cast)
    run = training.start(cast, snapshot)
    rival = ModelVersion.objects.create(
        name="Rival", location="folder:rival", family="lora", kind="adapter", base=cast.model, created_at=timezone.now()
    )
    evaluation = start_evaluation(
        cast.project, cast.alice, timezone.now(), a=cast.model, b=rival, prompts=list(cast.project.prompts.all())
    )
    simulation = start_simulation(cast.project, cast.alice, timezone.now(), taste="careless", rankings=5)
    items = make_items(cast, 4)
    annotate(cast.project, cast.alice, 1)
    (said,) = annotate(cast.project, cast.bob, 1)
    review = accept(said.annotation, cast.alice, timezone.now())
    studio = go_live(create_project("Studio", cast.project.template_version, cast.alice, timezone.now()))
    added = add_picture(cast.project, "image", File("a.png", draw(5)), cast.alice, timezone.now())
    now = timezone.now()
    notify(cast.project, "gold_failed", "bob missed gold.", now, about=cast.bob)
    answer = making.answer_of([[str(pk)] for pk in said.item.candidates.values_list("pk", flat=True)])
    return {
        "conditioning": str(added.picture.pk),
        "projects": str(cast.project.pk),
        "generations": str(items[0].request_id),
        "attempts": str(attempt(studio, {"prompt": "a live icon"}, cast.alice, timezone.now()).pk),
        "studio": str(studio.pk),
        "assignments": str(lease(cast.project, cast.alice).pk),
        "snapshots": str(snapshot.pk),
        "finetunes": str(run.pk),
        "evaluations": str(evaluation.pk),
        "simulations": str(simulation.pk),
        "annotations": str(said.annotation.pk),
        "items": str(said.item_id),
        "reviews": str(review.pk),
        "comments": str(remark(said.item, cast.alice, "See the edges.", timezone.now()).pk),
        "images": str(items[0].candidates.values_list("pk", flat=True)[0]),
        "models": str(cast.model.pk),
        "templates": str(cast.project.template_version.template_id),
        "queries": str(save_query(cast.project, "All", Filters(), cast.alice, now).pk),
        "subsets": str(make_subset(cast.project, "Some", cast.alice, now).pk),
        "acts": str(start_act(cast.project, "flag", Chosen((items[0].pk,)), {}, cast.alice, now).pk),
        "gold": str(making.make(said.item, answer, cast.alice, now).pk),
        "notices": str(Notice.objects.get(project=cast.project).pk),
        "member_pk": str(Membership.objects.get(project=cast.project, user=cast.dave).pk),
        "invitation_pk": str(invite(cast.project, "viewer", cast.alice, "owner", now, days=7, max_uses=9)[0].pk),
    }


@pytest.mark.fuzz
@pytest.mark.django_db
@described.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_input_breaks_the_api_or_its_description(case: Any, cast: Cast, targets: dict[str, str]) -> None:
    kind = case.path.removeprefix("/api/v1").strip("/").split("/")[0]
    if case.path.endswith("/attempts/"):
        kind = "studio"  # whose form is live
    if case.path_parameters:
        for name in case.path_parameters.keys() & {"id", "member_pk", "invitation_pk"}:
            case.path_parameters[name] = targets[kind if name == "id" else name]
    _, token = create_token(cast.alice, "schemathesis")
    response = case.call(headers={**(case.headers or {}), "Authorization": f"Token {token}"})
    case.validate_response(response, checks=CHECKS)
