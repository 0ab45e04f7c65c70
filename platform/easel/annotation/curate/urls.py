"""The addresses of Curate."""

from __future__ import annotations

from django.urls import path

from easel.annotation.curate import api as curate_api
from easel.annotation.curate import views

api = [
    path("projects/<uuid:pk>/items/", curate_api.ProjectItems.as_view(), name="items"),
    path("projects/<uuid:pk>/items/acts/", curate_api.ProjectBulkActs.as_view(), name="bulk_acts"),
    path("acts/<uuid:pk>/", curate_api.BulkActDetail.as_view(), name="bulk_act"),
    path("acts/<uuid:pk>/undo/", curate_api.BulkActUndo.as_view(), name="bulk_act_undo"),
    path("projects/<uuid:pk>/queries/", curate_api.ProjectQueries.as_view(), name="queries"),
    path("queries/<uuid:pk>/", curate_api.QueryDetail.as_view(), name="query"),
    path("projects/<uuid:pk>/subsets/", curate_api.ProjectSubsets.as_view(), name="subsets"),
    path("subsets/<uuid:pk>/", curate_api.SubsetDetail.as_view(), name="subset"),
]

pages = [
    path("projects/<uuid:pk>/curate/", views.curate, name="curate"),
    path("projects/<uuid:pk>/curate/items.csv", views.curated_table, name="curated_table"),
    path("projects/<uuid:pk>/curate/acts/", views.bulk_acts, name="bulk_acts"),
    path("projects/<uuid:pk>/curate/queries/", views.save_query, name="save_query"),
    path("projects/<uuid:pk>/curate/subsets/", views.make_subset, name="make_subset"),
    path("curate/items/<uuid:pk>/", views.curated_item, name="curated_item"),
    path("curate/acts/<uuid:pk>/", views.bulk_act, name="bulk_act"),
    path("curate/acts/<uuid:pk>/undo/", views.undo_bulk_act, name="undo_bulk_act"),
    path("curate/queries/<uuid:pk>/delete/", views.delete_query, name="delete_query"),
    path("curate/subsets/<uuid:pk>/delete/", views.delete_subset, name="delete_subset"),
]
