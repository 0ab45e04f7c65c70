"""Two models on the same prompts and seeds, judged blindly: from the request to the verdict and the promotion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from easel.accounts.roles import Role
from easel.annotation import services as annotation
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Item
from easel.common import jobs
from easel.common.errors import Conflict, InvalidInput
from easel.evaluation import services
from easel.evaluation.figures import comparisons, result_of
from easel.evaluation.models import Evaluation, Promotion, Score
from easel.evaluation.scoring import claim_scores
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from easel.projects.services import add_member
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion

from generation.types import Failure
from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of
from tests.easel.evaluation.judging import WORKER, icons, measure_all


@pytest.fixture
def cast(cast: Cast, model_folders: Path) -> Cast:
    """The model of the project is the built-in one, which the judges know."""
    return replace(cast, model=icons(model_folders))


@pytest.fixture
def tuned(cast: Cast) -> ModelVersion:
    """What a fine-tune made of it."""
    return ModelVersion.objects.create(
        name="Icons 2",
        kind=ModelVersion.Kind.ADAPTER,
        base=cast.model,
        family="lora",
        location=f"storage:ab/{'ab' * 32}.safetensors",
        sha256="ab" * 32,
        created_at=timezone.now(),
    )


def hold_out(cast: Cast, *texts: str) -> list[Prompt]:
    prompts = stage.make_prompts(cast.project, *texts)
    Prompt.objects.filter(pk__in=[one.pk for one in prompts]).update(held_out=True)
    return prompts


def start(cast: Cast, tuned: ModelVersion, **options: object) -> Evaluation:
    chosen = {"a": cast.model, "b": tuned} | options
    return services.start_evaluation(cast.project, cast.alice, timezone.now(), **chosen)  # type: ignore[arg-type]


def read(evaluation: Evaluation) -> Evaluation:
    return Evaluation.objects.with_state().get(pk=evaluation.pk)


def judge_all(cast: Cast, evaluation: Evaluation, score: float = 1.0) -> None:
    """Have bob judge every comparison that is left, b before a, a before b, or tied."""
    while found := annotation.lease_next(cast.project, cast.bob, timezone.now()):
        by_model = {one.model_id: str(one.pk) for one in found.item.candidates.all()}
        a, b = by_model[evaluation.a_id], by_model[evaluation.b_id]
        stage.submit(found, {"ranking": [[b, a]] if score == 0.5 else [[b], [a]] if score else [[a], [b]]})


def test_people_judge_the_held_out_prompts_and_the_verdict_is_read_off_their_answers(
    cast: Cast, tuned: ModelVersion
) -> None:
    stage.make_prompts(cast.project, "a fox that models learn from")
    hold_out(cast, *(f"a {n} hen" for n in range(12)))
    evaluation = start(cast, tuned)
    assert read(evaluation).state == "generating"
    stage.work_off()
    services.advance(timezone.now())
    assert read(evaluation).state == "judging" and read(evaluation).items_total == 12
    judge_all(cast, evaluation)
    services.advance(timezone.now())
    assert read(evaluation).state == "done" and read(evaluation).finished_at is None, "its images are being measured"
    result = result_of(evaluation)
    assert result.measuring and result.tally.won == 12 and result.tally.outcome == "better"
    assert result.sentence == "Better: Icons 2 wins 100% (76 to 100) of 12 blind comparisons."
    measure_all()
    services.advance(timezone.now())
    assert read(evaluation).finished_at is not None and not result_of(evaluation).measuring
    fidelity = result_of(evaluation).beside_named("Prompt fidelity")
    assert fidelity is not None and fidelity.ratio is not None
    assert not Prompt.objects.filter(text="a fox that models learn from", candidates__isnull=False).exists()


def test_both_models_get_the_same_seeds_and_every_prompt_its_own(cast: Cast, tuned: ModelVersion) -> None:
    hold_out(cast, "a hen", "a fox")
    evaluation = start(cast, tuned, images_per_prompt=3)
    stage.work_off()
    images = Candidate.objects.filter(request=evaluation.request)
    seeds = {(one.prompt_id, one.model_id): [] for one in images}  # type: ignore[var-annotated]
    for one in images.order_by("position"):
        seeds[one.prompt_id, one.model_id].append(one.seed)
    for prompt in {prompt for prompt, _ in seeds}:
        assert seeds[prompt, cast.model.pk] == seeds[prompt, tuned.pk]
    assert len({tuple(found) for found in seeds.values()}) == 2
    services.advance(timezone.now())
    pairs = comparisons(evaluation, [], "all", 0, 10)
    assert len(pairs) == 6 and all(one.a.seed == one.b.seed and one.outcome == "waits" for one in pairs)
    assert {(one.a.model_id, one.b.model_id) for one in pairs} == {(cast.model.pk, tuned.pk)}


def test_simulated_judges_judge_by_the_very_annotation_path_and_people_never_see_it(
    cast: Cast, tuned: ModelVersion
) -> None:
    hold_out(cast, *(f"a {n} hen" for n in range(5)))
    evaluation = start(cast, tuned, judges="simulated:3d", images_per_prompt=2, overlap=2)
    stage.work_off()
    services.advance(timezone.now())
    assert annotation.lease_next(cast.project, cast.bob, timezone.now()) is None
    measure_all()
    services.advance(timezone.now())
    assert (read(evaluation).state, read(evaluation).judges_in_words) == ("done", "simulated:3d")
    assert Annotation.objects.count() == 20 and {one.annotator.kind for one in Annotation.objects.all()} == {
        "simulated"
    }
    result = result_of(evaluation)
    assert result.tally.votes == 20 and result.tally.prompts == 5
    assert result.agreement is not None and result.agreement.estimate == 1, "without noise both judge alike"
    diversity = result.beside_named("Diversity")
    assert diversity is not None and (diversity.a, diversity.b) == (0.25, 0.25)
    assert {one.judge for one in Score.objects.all()} == {"taste", "referee"}


def test_simulated_annotators_that_collect_rankings_leave_evaluations_alone(cast: Cast, tuned: ModelVersion) -> None:
    from easel.evaluation.simulation import advance, start_simulation

    hold_out(cast, "a hen")
    for judges in ("people", "simulated:warm"):
        start(cast, tuned, judges=judges)
    stage.work_off()
    stage.make_items(cast, 1)
    simulation = start_simulation(cast.project, cast.alice, timezone.now(), taste="careless", rankings=9)
    gather(timezone.now(), cast.project)
    assert advance(simulation, timezone.now()) == 1
    ranked = Annotation.objects.get().item.request
    assert ranked is not None and ranked.kind == GenerationRequest.Kind.RENDER


def test_an_evaluation_has_an_overlap_of_its_own(cast: Cast, tuned: ModelVersion) -> None:
    hold_out(cast, "a hen")
    evaluation = start(cast, tuned, overlap=3)
    stage.work_off()
    services.advance(timezone.now())
    for annotator in (cast.bob, cast.erin):
        stage.annotate(cast.project, annotator)
    assert read(evaluation).state == "judging"
    stage.annotate(cast.project, cast.alice)
    assert read(evaluation).state == "done" and Item.objects.get().state == Item.State.DONE


def test_ties_only_and_no_votes_have_defined_answers(cast: Cast, tuned: ModelVersion) -> None:
    hold_out(cast, *(f"a {n} hen" for n in range(3)))
    evaluation = start(cast, tuned)
    stage.work_off()
    services.advance(timezone.now())
    assert result_of(evaluation).sentence == "Nobody has judged yet."
    judge_all(cast, evaluation, 0.5)
    assert result_of(evaluation).sentence == "No difference was seen: all 3 blind comparisons were ties."


def test_the_comparisons_that_were_lost_come_first_where_asked(cast: Cast, tuned: ModelVersion) -> None:
    hold_out(cast, *(f"a {n} hen" for n in range(4)))
    evaluation = start(cast, tuned)
    stage.work_off()
    services.advance(timezone.now())
    judge_all(cast, evaluation, 0)
    votes = result_of(evaluation).votes
    assert len(comparisons(evaluation, votes, "lost", 0, 10)) == 4
    assert comparisons(evaluation, votes, "won", 0, 10) == [] == comparisons(evaluation, votes, "tied", 0, 10)
    assert len(comparisons(evaluation, votes, "all", 3, 10)) == 1


def test_a_cancelled_evaluation_keeps_what_was_made_and_ends(cast: Cast, tuned: ModelVersion) -> None:
    from easel.images.services import cancel

    hold_out(cast, "a hen", "a fox")
    evaluation = start(cast, tuned)
    cancel(evaluation.request, timezone.now())
    services.advance(timezone.now())
    assert read(evaluation).state == "cancelled" and read(evaluation).finished_at is not None


def test_judges_whose_images_cannot_be_measured_fail_with_the_reason_and_are_tried_again(
    cast: Cast, tuned: ModelVersion
) -> None:
    hold_out(cast, "a hen")
    evaluation = start(cast, tuned, judges="simulated:3d")
    stage.work_off()
    services.advance(timezone.now())
    while request := claim_scores(WORKER, timezone.now()):
        failure = Failure(lease=request.lease, code="image_unreadable", reason="A file is gone.", retryable=False)
        jobs.fail(failure, timezone.now())
    services.advance(timezone.now())
    assert (read(evaluation).state, read(evaluation).problem) == (
        "failed", "Images could not be measured: A file is gone.",
    )  # fmt: skip
    assert result_of(evaluation).unmeasured == "A file is gone."
    assert services.retry(evaluation, timezone.now()) == 4
    measure_all()
    services.advance(timezone.now())
    assert read(evaluation).state == "done"
    with pytest.raises(Conflict, match="nothing to retry"):
        services.retry(evaluation, timezone.now())


def test_promoting_sets_the_generator_and_promoting_the_other_takes_it_back(cast: Cast, tuned: ModelVersion) -> None:
    hold_out(cast, "a hen")
    evaluation = start(cast, tuned)
    services.promote(evaluation, cast.alice, timezone.now())
    assert Project.objects.get(pk=cast.project.pk).generator == tuned
    with pytest.raises(Conflict, match="makes the images of this project's next round already"):
        services.promote(evaluation, cast.alice, timezone.now())
    services.promote(evaluation, cast.alice, timezone.now(), cast.model)
    assert Project.objects.get(pk=cast.project.pk).generator == cast.model
    assert list(Promotion.objects.order_by("id").values_list("model__name", "previous__name")) == [
        ("Icons 2", None), ("Icons", "Icons 2"),
    ]  # fmt: skip


def test_what_cannot_be_compared_is_refused_in_one_line(cast: Cast, tuned: ModelVersion, model_folders: Path) -> None:
    with pytest.raises(InvalidInput, match="no held-out prompts"):
        start(cast, tuned)
    hold_out(cast, "a hen")
    watercolours = icons(model_folders, "Watercolours", "watercolours")
    for options, line in (
        ({"b": cast.model}, "A and B are the same model"),
        ({"judges": "simulated"}, "judges is 'simulated'; give people, or simulated: with a taste"),
        ({"judges": "robots"}, "judges is 'robots'"),
        ({"judges": "simulated:sweet"}, "There is no taste 'sweet'"),
        ({"judges": "simulated:3d", "b": watercolours}, "Simulated annotators know the pictures of the built-in model"),
        ({"overlap": 0}, "overlap is 0; each comparison is judged by 1 to 9"),
        ({"images_per_prompt": 40}, "80 images of one prompt are too many"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            start(cast, tuned, **options)
        assert refusal.value.detail.startswith(line)
    assert not Evaluation.objects.exists() and not GenerationRequest.objects.exists()


def test_an_evaluation_whose_judge_was_sent_away_ends_with_the_reason_and_stops_no_other(
    cast: Cast, tuned: ModelVersion
) -> None:
    hold_out(cast, "a hen", "a fox")
    stuck, other = (start(cast, tuned, judges="simulated:3d", noise=noise) for noise in (0.0, 0.1))
    stage.work_off()
    services.advance(timezone.now())
    stuck.simulation.annotators.get().memberships.all().delete()
    measure_all()
    services.advance(timezone.now())
    services.advance(timezone.now())
    assert (read(other).state, read(other).finished_at is not None) == ("done", True)
    assert read(stuck).state == "failed" and "could not go on: There is no project here" in read(stuck).problem

    add_member(cast.project, stuck.simulation.annotators.get(), Role.ANNOTATOR, timezone.now())
    services.retry(read(stuck), timezone.now())
    services.advance(timezone.now())
    assert read(stuck).state == "done"


def test_a_list_of_evaluations_takes_as_many_queries_for_five_as_for_one(cast: Cast, tuned: ModelVersion) -> None:
    hold_out(cast, "a hen")
    engineer, browser = client_of(cast.dave), browser_of(cast.dave)

    def queries() -> list[int]:
        counts = []
        for client, path in ((engineer, API), (browser, "")):
            with CaptureQueriesContext(connection) as seen:
                assert client.get(f"{path}/projects/{cast.project.pk}/evaluations/").status_code == 200
            counts.append(len(seen))
        return counts

    start(cast, tuned)
    queries()  # what is cached on the first visit
    one = queries()
    for _ in range(4):
        start(cast, tuned)
    assert queries() == one
