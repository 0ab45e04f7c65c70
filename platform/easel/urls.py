"""Every address. A new one needs a row in the access matrix (tests/easel/test_access_matrix.py)."""

from __future__ import annotations

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from easel.accounts import api as accounts_api
from easel.accounts import views as accounts
from easel.annotation import api as annotation_api
from easel.annotation import live_api
from easel.annotation import template_api as template_uses_api
from easel.annotation import template_views as template_uses
from easel.annotation import views as annotation
from easel.annotation.curate import urls as curate
from easel.annotation.gold import api as gold_api
from easel.annotation.gold import training_api as gold_training_api
from easel.annotation.gold import views as gold
from easel.annotation.people import api as members_api
from easel.annotation.people import views as people
from easel.annotation.review import adjudication_views as adjudications
from easel.annotation.review import api as review_api
from easel.annotation.review import item_views as items
from easel.annotation.review import views as reviews
from easel.annotation.settings import api as settings_api
from easel.annotation.settings import views as settings
from easel.common import views as common
from easel.evaluation import api as evaluation_api
from easel.evaluation import overview
from easel.evaluation import views as evaluation
from easel.forms import api as forms_api
from easel.images import api as images_api
from easel.images import import_api, import_views, serving
from easel.images import model_views as model_pages
from easel.images import views as images
from easel.preferences import api as quality_api
from easel.preferences import own_views as own
from easel.preferences import views as quality
from easel.projects import api as projects_api
from easel.projects import builder_views as builder
from easel.projects import people_api, template_api
from easel.projects import profile_views as profile
from easel.projects import template_views as template_pages
from easel.projects import views as projects
from easel.prompts import api as prompts_api
from easel.prompts import views as prompts
from easel.registry import api as registry_api
from easel.snapshots import api as snapshots_api
from easel.snapshots import snapshot_api, snapshot_views
from easel.snapshots import views as snapshots
from easel.training import api as training_api
from easel.training import views as training

api = [
    # First what annotators ask for all day: addresses are tried in their order.
    path("assignments/<uuid:pk>/", annotation_api.AssignmentDetail.as_view(), name="assignment"),
    path(
        "assignments/<uuid:pk>/annotation/", annotation_api.AssignmentAnnotation.as_view(), name="assignment_annotation"
    ),
    path("assignments/<uuid:pk>/draft/", annotation_api.AssignmentDraft.as_view(), name="assignment_draft"),
    path("assignments/<uuid:pk>/skip/", annotation_api.AssignmentSkip.as_view(), name="assignment_skip"),
    path("assignments/<uuid:pk>/reopen/", annotation_api.AssignmentReopening.as_view(), name="assignment_reopening"),
    path("assignments/<uuid:pk>/heartbeat/", annotation_api.AssignmentHeartbeat.as_view(), name="assignment_heartbeat"),
    path("projects/<uuid:pk>/assignments/", annotation_api.ProjectAssignments.as_view(), name="assignments"),
    *curate.api,
    path("schema/", SpectacularAPIView.as_view(permission_classes=[], authentication_classes=[]), name="schema"),
    path("me/", accounts_api.Me.as_view(), name="me"),
    path("me/profile/", accounts_api.Profile.as_view(), name="profile"),
    path("templates/", template_api.Templates.as_view(), name="templates"),
    path("templates/schema/", forms_api.TemplateSchema.as_view(), name="template_schema"),
    path("templates/<uuid:pk>/", template_uses_api.TemplateDetail.as_view(), name="template"),
    path("templates/<uuid:pk>/draft/", template_api.TemplateDraftDetail.as_view(), name="template_draft"),
    path("templates/<uuid:pk>/versions/", template_api.TemplateVersions.as_view(), name="template_versions"),
    path(
        "templates/<uuid:pk>/versions/<int:number>/",
        template_api.TemplateVersionDetail.as_view(),
        name="template_version",
    ),
    path("templates/<uuid:pk>/differences/", template_api.TemplateDifferences.as_view(), name="template_differences"),
    path("templates/<uuid:pk>/dry-run/", template_uses_api.TemplateDryRun.as_view(), name="template_dry_run"),
    path("models/", registry_api.Models.as_view(), name="models"),
    path("models/<uuid:pk>/", registry_api.ModelDetail.as_view(), name="model"),
    path("projects/", projects_api.Projects.as_view(), name="projects"),
    path("projects/<uuid:pk>/", projects_api.ProjectDetail.as_view(), name="project"),
    path("projects/<uuid:pk>/settings/", settings_api.ProjectSettings.as_view(), name="project_settings"),
    path("projects/<uuid:pk>/overlap/", settings_api.ProjectOverlap.as_view(), name="project_overlap"),
    path("projects/<uuid:pk>/pause/", people_api.ProjectPause.as_view(), name="project_pause"),
    path("projects/<uuid:pk>/invitations/", people_api.ProjectInvitations.as_view(), name="invitations"),
    path(
        "projects/<uuid:pk>/invitations/<uuid:invitation_pk>/",
        people_api.InvitationDetail.as_view(),
        name="invitation",
    ),
    path("projects/<uuid:pk>/notices/", people_api.ProjectNotices.as_view(), name="notices"),
    path("notices/<uuid:pk>/seen/", people_api.NoticeSeen.as_view(), name="notice_seen"),
    path("projects/<uuid:pk>/members/", members_api.ProjectMembers.as_view(), name="members"),
    path("projects/<uuid:pk>/members/<uuid:member_pk>/", members_api.MemberDetail.as_view(), name="member"),
    path("projects/<uuid:pk>/members/<uuid:member_pk>/pause/", members_api.MemberPause.as_view(), name="member_pause"),
    path(
        "projects/<uuid:pk>/members/<uuid:member_pk>/deactivation/",
        members_api.MemberDeactivation.as_view(),
        name="member_deactivation",
    ),
    path("projects/<uuid:pk>/templates/", template_api.ProjectTemplates.as_view(), name="project_templates"),
    path("projects/<uuid:pk>/template/", template_uses_api.TemplateOfProject.as_view(), name="project_template"),
    path("projects/<uuid:pk>/prompts/", prompts_api.ProjectPrompts.as_view(), name="prompts"),
    path("projects/<uuid:pk>/generations/", images_api.ProjectGenerations.as_view(), name="generations"),
    path("projects/<uuid:pk>/annotations/", annotation_api.ProjectAnnotations.as_view(), name="annotations"),
    path("projects/<uuid:pk>/reviews/", review_api.ProjectReviews.as_view(), name="reviews"),
    path("projects/<uuid:pk>/reviews/bulk/", review_api.BulkReviews.as_view(), name="reviews_bulk"),
    path("annotations/<uuid:pk>/reviews/", review_api.AnnotationReviews.as_view(), name="annotation_reviews"),
    path("reviews/<uuid:pk>/", review_api.ReviewDetail.as_view(), name="review"),
    path("items/<uuid:pk>/", review_api.ItemDetail.as_view(), name="item"),
    path("items/<uuid:pk>/comments/", review_api.ItemComments.as_view(), name="item_comments"),
    path("items/<uuid:pk>/adjudication/", review_api.ItemAdjudication.as_view(), name="item_adjudication"),
    path("comments/<uuid:pk>/", review_api.CommentDetail.as_view(), name="comment"),
    path("projects/<uuid:pk>/progress/", annotation_api.ProjectProgress.as_view(), name="progress"),
    path("projects/<uuid:pk>/quality/", quality_api.ProjectQualityDetail.as_view(), name="quality"),
    path("projects/<uuid:pk>/quality/annotators/", quality_api.ProjectAnnotators.as_view(), name="quality_annotators"),
    path(
        "projects/<uuid:pk>/quality/tables/<slug:name>/",
        quality_api.ProjectQualityTable.as_view(),
        name="quality_table",
    ),
    path("projects/<uuid:pk>/export/", snapshots_api.ProjectExport.as_view(), name="export"),
    path("projects/<uuid:pk>/snapshots/", snapshot_api.ProjectSnapshots.as_view(), name="snapshots"),
    path("snapshots/<uuid:pk>/", snapshot_api.SnapshotDetail.as_view(), name="snapshot"),
    path("snapshots/<uuid:pk>/download/", snapshot_api.SnapshotDownload.as_view(), name="snapshot_download"),
    path("projects/<uuid:pk>/finetunes/", training_api.ProjectFinetunes.as_view(), name="finetunes"),
    path("finetunes/<uuid:pk>/", training_api.FinetuneDetail.as_view(), name="finetune"),
    path("finetunes/<uuid:pk>/points/", training_api.FinetunePoints.as_view(), name="finetune_points"),
    path("finetunes/<uuid:pk>/retries/", training_api.FinetuneRetries.as_view(), name="finetune_retries"),
    path("finetunes/<uuid:pk>/cancel/", training_api.FinetuneCancel.as_view(), name="finetune_cancel"),
    path("finetunes/<uuid:pk>/pause/", training_api.FinetunePause.as_view(), name="finetune_pause"),
    path("finetunes/<uuid:pk>/resume/", training_api.FinetuneResume.as_view(), name="finetune_resume"),
    path("projects/<uuid:pk>/conditioning/", prompts_api.ProjectConditioning.as_view(), name="conditioning"),
    path("projects/<uuid:pk>/images/", import_api.ProjectImages.as_view(), name="images"),
    path("generations/<uuid:pk>/", images_api.GenerationDetail.as_view(), name="generation"),
    path("generations/<uuid:pk>/candidates/", images_api.GenerationCandidates.as_view(), name="generation_candidates"),
    path("generations/<uuid:pk>/retries/", images_api.GenerationRetries.as_view(), name="generation_retries"),
    path("generations/<uuid:pk>/cancel/", images_api.GenerationCancel.as_view(), name="generation_cancel"),
    path("generations/<uuid:pk>/pause/", images_api.GenerationPause.as_view(), name="generation_pause"),
    path("generations/<uuid:pk>/resume/", images_api.GenerationResume.as_view(), name="generation_resume"),
    path("projects/<uuid:pk>/evaluations/", evaluation_api.ProjectEvaluations.as_view(), name="evaluations"),
    path("projects/<uuid:pk>/leaderboard/", evaluation_api.ProjectLeaderboard.as_view(), name="leaderboard"),
    path("projects/<uuid:pk>/simulations/", evaluation_api.ProjectSimulations.as_view(), name="simulations"),
    path("evaluations/<uuid:pk>/", evaluation_api.EvaluationDetail.as_view(), name="evaluation"),
    path("evaluations/<uuid:pk>/promotion/", evaluation_api.EvaluationPromotion.as_view(), name="evaluation_promotion"),
    path("simulations/<uuid:pk>/", evaluation_api.SimulationDetail.as_view(), name="simulation"),
    path("projects/<uuid:pk>/attempts/", live_api.ProjectAttempts.as_view(), name="attempts"),
    path("attempts/<uuid:pk>/", live_api.AttemptDetail.as_view(), name="attempt"),
    path("attempts/<uuid:pk>/cancel/", live_api.AttemptCancel.as_view(), name="attempt_cancel"),
    path("projects/<uuid:pk>/gold/", gold_api.ProjectGold.as_view(), name="gold_items"),
    path("projects/<uuid:pk>/gold/automatic/", gold_api.ProjectGoldAutomatic.as_view(), name="gold_automatic"),
    path("projects/<uuid:pk>/gold/unanimous/", gold_api.ProjectGoldUnanimous.as_view(), name="gold_unanimous"),
    path("projects/<uuid:pk>/gold/waiting/", gold_api.ProjectGoldWaiting.as_view(), name="gold_waiting"),
    path("gold/<uuid:pk>/", gold_api.GoldDetail.as_view(), name="gold"),
    path("projects/<uuid:pk>/training/", gold_training_api.ProjectTraining.as_view(), name="training"),
    path(
        "projects/<uuid:pk>/training/<uuid:member_pk>/",
        gold_training_api.MemberTraining.as_view(),
        name="member_training",
    ),
]

urlpatterns = [
    *curate.pages,
    path("healthz", common.healthz, name="healthz"),
    path("readyz", common.readyz, name="readyz"),
    path("api/v1/", include((api, "api"))),
    path("sign-in/", accounts.SignIn.as_view(), name="sign_in"),
    path("sign-out/", accounts.SignOut.as_view(), name="sign_out"),
    path("account/", accounts.account, name="account"),
    path("account/profile/", profile.profile, name="profile"),
    path("account/tokens/<slug:token_key>/delete/", accounts.delete_token, name="delete_token"),
    path("templates/preview/", annotation.preview, name="preview_template"),
    path("models/", model_pages.models, name="models"),
    path("models/new/", model_pages.new_model, name="new_model"),
    path("models/<uuid:pk>/", model_pages.model, name="model"),
    path("", projects.project_list, name="projects"),
    path("projects/new/", projects.new_project, name="new_project"),
    path("projects/<uuid:pk>/", overview.overview, name="overview"),
    path("projects/<uuid:pk>/rank/", annotation.rank, name="rank"),
    path("projects/<uuid:pk>/me/", own.own_page, name="own_page"),
    path("templates/<slug:key>/preview/", template_pages.template_preview, name="template_preview"),
    path("projects/<uuid:pk>/template/", template_uses.use_template, name="use_template"),
    path("projects/<uuid:pk>/templates/", template_pages.templates, name="templates"),
    path("projects/<uuid:pk>/templates/new/", template_pages.new_template, name="new_template"),
    path("projects/<uuid:pk>/templates/<uuid:template_pk>/", template_uses.template, name="template"),
    path("projects/<uuid:pk>/templates/<uuid:template_pk>/build/", builder.build_template, name="build_template"),
    path(
        "projects/<uuid:pk>/templates/<uuid:template_pk>/publish/",
        template_uses.publish_template,
        name="publish_template",
    ),
    path(
        "projects/<uuid:pk>/templates/<uuid:template_pk>/export/", template_uses.export_template, name="export_template"
    ),
    path(
        "projects/<uuid:pk>/templates/<uuid:template_pk>/delete/", template_uses.delete_template, name="delete_template"
    ),
    path("projects/<uuid:pk>/prompts/", prompts.prompt_list, name="prompts"),
    path("projects/<uuid:pk>/conditioning/", prompts.pictures, name="pictures"),
    path("projects/<uuid:pk>/prompts/import/", prompts.new_import, name="new_import"),
    path("projects/<uuid:pk>/prompts/imports/<uuid:import_pk>/", prompts.prompt_import, name="prompt_import"),
    path("projects/<uuid:pk>/generations/", images.generations, name="generations"),
    path("projects/<uuid:pk>/generations/prompts/", images.prompt_choices, name="prompt_choices"),
    path("projects/<uuid:pk>/generations/previews/", images.previews, name="previews"),
    path("projects/<uuid:pk>/images/", images.gallery, name="gallery"),
    path("projects/<uuid:pk>/images/import/", import_views.new_image_import, name="new_image_import"),
    path("projects/<uuid:pk>/images/imports/<uuid:import_pk>/", import_views.image_import, name="image_import"),
    path(
        "projects/<uuid:pk>/images/imports/<uuid:import_pk>/<int:number>/",
        import_views.imported_picture,
        name="imported_picture",
    ),
    path("projects/<uuid:pk>/images/side-by-side/", images.side_by_side, name="side_by_side"),
    path("projects/<uuid:pk>/annotations/", annotation.annotation_list, name="annotations"),
    path("projects/<uuid:pk>/quality/", quality.quality, name="quality"),
    path("projects/<uuid:pk>/quality/tables/<slug:name>/", quality.quality_table, name="quality_table"),
    path("projects/<uuid:pk>/quality/people/<uuid:user_pk>/", quality.quality_person, name="quality_person"),
    path(
        "projects/<uuid:pk>/quality/people/<uuid:user_pk>/table/",
        quality.quality_person_table,
        name="quality_person_table",
    ),
    path("projects/<uuid:pk>/review/", reviews.review, name="review"),
    path("projects/<uuid:pk>/review/list/", reviews.review_list, name="review_list"),
    path("projects/<uuid:pk>/review/<uuid:annotation_pk>/fix/", reviews.fix, name="fix_annotation"),
    path("projects/<uuid:pk>/disagreements/", adjudications.adjudication, name="adjudication"),
    path("projects/<uuid:pk>/items/<uuid:item_pk>/", items.item, name="item"),
    path("projects/<uuid:pk>/items/<uuid:item_pk>/comments/", items.item_comments, name="item_comments"),
    path("projects/<uuid:pk>/items/<uuid:item_pk>/decide/", reviews.rank_anew, name="rank_anew"),
    path("projects/<uuid:pk>/gold/", gold.gold_list, name="gold"),
    path("projects/<uuid:pk>/gold/new/", gold.new_gold, name="new_gold"),
    path("projects/<uuid:pk>/gold/unanimous/", gold.unanimous, name="gold_unanimous"),
    path("projects/<uuid:pk>/gold/automatic/", gold.make_automatically, name="gold_automatic"),
    path("projects/<uuid:pk>/gold/automatic/cancel/", gold.cancel_automatic, name="cancel_gold_automatic"),
    path("projects/<uuid:pk>/gold/waiting/", gold.look_at_gold, name="look_at_gold"),
    path("projects/<uuid:pk>/gold/<uuid:gold_pk>/", gold.change_gold, name="change_gold"),
    path("projects/<uuid:pk>/training/", gold.training_page, name="gold_training"),
    path("projects/<uuid:pk>/training/<uuid:member_pk>/", gold.member_training, name="member_training"),
    path("projects/<uuid:pk>/evaluations/", evaluation.evaluations, name="evaluations"),
    path("projects/<uuid:pk>/evaluations/new/", evaluation.new_evaluation, name="new_evaluation"),
    path("projects/<uuid:pk>/leaderboard/", evaluation.leaderboard, name="leaderboard"),
    path("projects/<uuid:pk>/prompts/hold-out/", evaluation.hold_out, name="hold_out"),
    path("projects/<uuid:pk>/simulations/", evaluation.simulations, name="simulations"),
    path("evaluations/<uuid:pk>/", evaluation.evaluation, name="evaluation"),
    path("evaluations/<uuid:pk>/promote/", evaluation.promote, name="promote"),
    path("evaluations/<uuid:pk>/retry/", evaluation.retry_evaluation, name="retry_evaluation"),
    path("simulations/<uuid:pk>/cancel/", evaluation.cancel_simulation, name="cancel_simulation"),
    path("projects/<uuid:pk>/export/", snapshots.export, name="export"),
    path("projects/<uuid:pk>/snapshots/", snapshot_views.snapshots, name="snapshots"),
    path("projects/<uuid:pk>/snapshots/new/", snapshot_views.new_snapshot, name="new_snapshot"),
    path("projects/<uuid:pk>/snapshots/count/", snapshot_views.snapshot_count, name="snapshot_count"),
    path("projects/<uuid:pk>/snapshots/<uuid:snapshot_pk>/", snapshot_views.snapshot, name="snapshot"),
    path("projects/<uuid:pk>/finetunes/", training.finetunes, name="finetunes"),
    path("projects/<uuid:pk>/finetunes/settings/", training.finetune_settings, name="finetune_settings"),
    path("projects/<uuid:pk>/finetunes/<uuid:run_pk>/", training.finetune, name="finetune"),
    path("finetunes/<uuid:pk>/figures/", training.finetune_figures, name="finetune_figures"),
    path("finetunes/<uuid:pk>/samples/<int:step>/<int:place>/", training.finetune_sample, name="finetune_sample"),
    path("finetunes/<uuid:pk>/retry/", training.retry_finetune, name="retry_finetune"),
    path("finetunes/<uuid:pk>/pause/", training.pause_finetune, name="pause_finetune"),
    path("finetunes/<uuid:pk>/resume/", training.resume_finetune, name="resume_finetune"),
    path("finetunes/<uuid:pk>/cancel/", training.cancel_finetune, name="cancel_finetune"),
    path("projects/<uuid:pk>/people/", people.people, name="people"),
    path("projects/<uuid:pk>/people/<uuid:member_pk>/", people.member, name="member"),
    path("projects/<uuid:pk>/people/<uuid:member_pk>/pause/", people.pause_member, name="pause_member"),
    path("projects/<uuid:pk>/people/<uuid:member_pk>/resume/", people.resume_member, name="resume_member"),
    path("projects/<uuid:pk>/people/<uuid:member_pk>/deactivate/", people.deactivate_member, name="deactivate_member"),
    path("projects/<uuid:pk>/people/<uuid:member_pk>/reactivate/", people.reactivate_member, name="reactivate_member"),
    path("projects/<uuid:pk>/people/<uuid:member_pk>/remove/", people.remove_member, name="remove_member"),
    path("projects/<uuid:pk>/pause/", projects.pause_project, name="pause_project"),
    path("projects/<uuid:pk>/resume/", projects.resume_project, name="resume_project"),
    path("notices/<uuid:pk>/seen/", projects.see_notice, name="see_notice"),
    path(
        "projects/<uuid:pk>/invitations/<uuid:invitation_pk>/withdraw/",
        projects.withdraw_invitation,
        name="withdraw_invitation",
    ),
    path("projects/<uuid:pk>/settings/", settings.project_settings, name="project_settings"),
    path("projects/<uuid:pk>/settings/overlap/", settings.overlap_progress, name="overlap_progress"),
    path("invitations/<slug:secret>/", projects.invitation, name="invitation"),
    path("generations/<uuid:pk>/retry/", images.retry_generation, name="retry_generation"),
    path("generations/<uuid:pk>/pause/", images.pause_generation, name="pause_generation"),
    path("generations/<uuid:pk>/resume/", images.resume_generation, name="resume_generation"),
    path("generations/<uuid:pk>/cancel/", images.cancel_generation, name="cancel_generation"),
    path("conditioning/<uuid:pk>/", prompts_api.ConditioningPicture.as_view(), name="conditioning_picture"),
    path("images/<uuid:pk>/", serving.CandidateImage.as_view(), name="image"),
    path("images/<uuid:pk>/download/", serving.CandidateDownload.as_view(), name="download"),
]

handler400 = "easel.common.views.bad_request"
handler403 = "easel.common.views.forbidden"
handler404 = "easel.common.views.not_found"
handler500 = "easel.common.views.server_error"
