"""Items by filters, acts on many of them, saved queries and subsets."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.curate import acts, subsets
from easel.annotation.curate.access import CHANGE, KEEP, bulk_act_for, query_for, subset_for
from easel.annotation.curate.cards import cards_of
from easel.annotation.curate.choosing import MAX_TICKED, Chosen
from easel.annotation.curate.filters import HINTS, Filters, items_of, read_filters
from easel.annotation.curate.paging import COUNTED, count_of, page_of_items
from easel.annotation.curate.seeing import refuse_gold
from easel.annotation.models import BulkAct, SavedQuery, Subset
from easel.common.pagination import NewestFirst, page_of
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for

PAGE = 50
MOST = 500
KEEPERS = {BulkAct.Kind.ADD, BulkAct.Kind.REMOVE}
"""Acts that change no item: those who keep subsets do them."""


def may_do(kind: str) -> Act:
    """What a role must allow for an act on many items."""
    return KEEP if kind in KEEPERS else CHANGE


class ImageOfItemSerializer(serializers.Serializer[Any]):
    """An image of an item, for those who may know how it was made."""

    id = serializers.UUIDField()
    url = serializers.SerializerMethodField()
    model = serializers.CharField(source="model.name")
    width = serializers.IntegerField()
    height = serializers.IntegerField()

    def get_url(self, image: Any) -> str:
        """Return where the image is."""
        return reverse("image", args=[image.pk])


class CuratedItemSerializer(serializers.Serializer[Any]):
    """An item with its images, best first, and what was said of it."""

    id = serializers.UUIDField(source="item.pk")
    prompt = serializers.CharField(source="item.prompt.text")
    category = serializers.CharField(source="item.category")
    state = serializers.CharField(source="item.state", help_text="ready, done or aside.")
    purpose = serializers.CharField(source="item.purpose")
    priority = serializers.IntegerField(source="item.priority")
    votes = serializers.IntegerField(source="item.votes")
    lead = serializers.FloatField(source="item.lead", help_text="How far the commonest verdict is ahead.")
    wants = serializers.IntegerField(source="item.wants", allow_null=True)
    flagged_at = serializers.DateTimeField(source="item.flagged_at", allow_null=True)
    all_bad = serializers.IntegerField(help_text="How many annotators found all of them bad.")
    image_flags = serializers.DictField(source="flags", child=serializers.IntegerField())
    look_alike_within = serializers.BooleanField(help_text="Two of its images look the same.")
    look_alike_elsewhere = serializers.IntegerField(source="alike", help_text="Images that look like other ones.")
    images = ImageOfItemSerializer(many=True, help_text="Best first.")
    created_at = serializers.DateTimeField(source="item.created_at")


CuratedPage = inline_serializer(
    "CuratedItemPage",
    {
        "next": serializers.CharField(allow_null=True, help_text="The address of the next page; null at the end."),
        "count": serializers.IntegerField(help_text=f"Exact up to {COUNTED:,}; one more says that there are more."),
        "results": CuratedItemSerializer(many=True),
    },
)
PARAMETERS = [
    OpenApiParameter("cursor", str, description="Where the page begins; taken from `next`."),
    OpenApiParameter("page_size", int, description=f"Items a page, at most {MOST}; {PAGE} if left out."),
    *(OpenApiParameter(name, str, description=hint) for name, hint in HINTS.items()),
]


class ProjectItems(APIView):
    """A project's items."""

    @documented("items_list", answers={200: CuratedPage}, errors=(400,), parameters=PARAMETERS)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the items that the filters take."""
        project = project_for(request.user, pk, Act.INSPECT)
        filters = read_filters(request.query_params)
        refuse_gold(project, filters)
        try:
            size = min(max(int(request.query_params.get("page_size", PAGE)), 1), MOST)
        except ValueError:
            size = PAGE
        rows = items_of(project, filters)
        page = page_of_items(rows.select_related("prompt"), filters, request.query_params.get("cursor", ""), size)
        follow = urlencode({**filters.given, "page_size": size, "cursor": page.after}) if page.after else None
        cards = CuratedItemSerializer(cards_of(page.rows), many=True)
        following = request.build_absolute_uri(f"{request.path}?{follow}") if follow else None
        return Response({"next": following, "count": count_of(rows), "results": cards.data})


class NewBulkActSerializer(serializers.Serializer[Any]):
    """What is done with which items."""

    act = serializers.ChoiceField(BulkAct.Kind.choices)
    items = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MAX_TICKED, help_text="Ids of items."
    )
    query = serializers.DictField(required=False, help_text="Filters, as of the list of items; in place of `items`.")
    priority = serializers.IntegerField(
        required=False, min_value=-acts.MAX_PRIORITY, max_value=acts.MAX_PRIORITY, help_text="Of the act priority."
    )
    subset = serializers.CharField(required=False, help_text="Id or name; of the acts add and remove.")
    annotator = serializers.CharField(required=False, help_text="Id or user name; of the act assign.")
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=acts.MAX_DAYS, help_text="How long it is held; of the act assign."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only say how many items it would change.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Take items or a query, not both."""
        if ("items" in attrs) == ("query" in attrs):
            raise serializers.ValidationError("Name either `items` or a `query`.")
        return attrs


class BulkActSerializer(serializers.ModelSerializer[BulkAct]):
    """An act on many items, and how far it is."""

    by = serializers.CharField(source="by.username")

    class Meta:
        model = BulkAct
        fields = ("id", "kind", "value", "by", "state", "total", "done", "changed", "created_at")


class EstimateSerializer(serializers.Serializer[Any]):
    """How many items an act is about, and would change; 10,001 says that there are more."""

    chosen = serializers.IntegerField()
    changed = serializers.IntegerField()


class ProjectBulkActs(APIView):
    """Acts on many items of a project."""

    @documented_list("bulk_acts_list", BulkActSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the acts, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, BulkAct.objects.of_project(project), BulkActSerializer)

    @documented(
        "bulk_act_create",
        request=NewBulkActSerializer,
        answers={200: EstimateSerializer, 202: BulkActSerializer},
        errors=(400,),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Do something with many items: at once up to a thousand, in the background beyond. See its state."""
        project_for(request.user, pk, KEEP)
        given = NewBulkActSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        project = project_for(request.user, pk, may_do(data["act"]))
        assert isinstance(request.user, User)
        value = acts.value_of(project, data["act"], data)
        filters = read_filters(data["query"]) if "query" in data else None
        chosen = Chosen(tuple(data.get("items", ())), filters)
        now = timezone.now()
        if data["dry_run"]:
            found = acts.estimate(project, data["act"], chosen, value, request.user, now)
            return Response(EstimateSerializer(found).data)
        act = acts.start(project, data["act"], chosen, value, request.user, now)
        return Response(BulkActSerializer(act).data, status=202)


class BulkActDetail(APIView):
    """One act on many items."""

    @documented("bulk_act_retrieve", answers={200: BulkActSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Say how far it is."""
        return Response(BulkActSerializer(bulk_act_for(request.user, pk, Act.INSPECT)).data)


class BulkActUndo(APIView):
    """The way back of an act."""

    @documented("bulk_act_undo", answers={202: BulkActSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Take it back, where nobody has touched the items since."""
        act = bulk_act_for(request.user, pk, KEEP)
        act = bulk_act_for(request.user, pk, may_do(act.kind))
        return Response(BulkActSerializer(acts.undo(act)).data, status=202)


class SavedQuerySerializer(serializers.ModelSerializer[SavedQuery]):
    """Filters by a name."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)
    overwrite = serializers.BooleanField(default=False, write_only=True, help_text="Replace one of this name.")

    class Meta:
        model = SavedQuery
        fields = ("id", "name", "filters", "created_by", "created_at", "overwrite")
        read_only_fields = ("id", "created_at")

    def validate_filters(self, value: Any) -> Filters:
        """Read filters as of the list of items."""
        return read_filters(value if isinstance(value, dict) else {"order": str(value)[:40]})


class ProjectQueries(APIView):
    """A project's saved queries."""

    @documented_list("queries_list", SavedQuerySerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the saved queries, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, subsets.queries_of(project), SavedQuerySerializer, NewestFirst)

    @documented("query_create", request=SavedQuerySerializer, answers={201: SavedQuerySerializer}, errors=(400, 409))
    def post(self, request: Request, pk: UUID) -> Response:
        """Keep filters by a name, for everybody of the project."""
        project = project_for(request.user, pk, KEEP)
        given = SavedQuerySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        assert isinstance(request.user, User)
        made = subsets.save_query(
            project,
            data["name"],
            data.get("filters", Filters()),
            request.user,
            timezone.now(),
            overwrite=data["overwrite"],
        )
        return Response(SavedQuerySerializer(made).data, status=201)


class QueryDetail(APIView):
    """One saved query."""

    @documented("query_delete", answers={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Forget it."""
        subsets.delete_query(query_for(request.user, pk, KEEP))
        return Response(status=204)


class SubsetSerializer(serializers.ModelSerializer[Subset]):
    """Items that somebody chose, by a name."""

    created_by = serializers.CharField(source="created_by.username", read_only=True)
    size = serializers.SerializerMethodField(help_text="Items in it.")

    class Meta:
        model = Subset
        fields = ("id", "name", "size", "created_by", "created_at")
        read_only_fields = ("id", "created_at")

    def get_size(self, subset: Subset) -> int:
        """Return how many items it has."""
        return int(getattr(subset, "size", 0))


class ProjectSubsets(APIView):
    """A project's subsets."""

    @documented_list("subsets_list", SubsetSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the subsets, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, subsets.subsets_of(project), SubsetSerializer, NewestFirst)

    @documented("subset_create", request=SubsetSerializer, answers={201: SubsetSerializer}, errors=(400, 409))
    def post(self, request: Request, pk: UUID) -> Response:
        """Make an empty subset; the act `add` puts items into it."""
        project = project_for(request.user, pk, KEEP)
        given = SubsetSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        made = subsets.make_subset(project, given.validated_data["name"], request.user, timezone.now())
        return Response(SubsetSerializer(made).data, status=201)


class SubsetDetail(APIView):
    """One subset."""

    @documented("subset_delete", answers={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Delete it; its items stay."""
        subsets.delete_subset(subset_for(request.user, pk, KEEP))
        return Response(status=204)
