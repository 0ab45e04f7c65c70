"""What a project offers to choose from in Curate: short lists, found by indexes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import Q

from easel.accounts.models import User
from easel.annotation.curate.filters import Filters
from easel.annotation.curate.subsets import subsets_of
from easel.annotation.models import Subset
from easel.forms.models import TemplateVersion, form_of
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Membership, Project
from easel.registry.models import ModelVersion

# Each category once, by steps through the index (a "loose index scan"): a DISTINCT would read every item.
_CATEGORIES = """
    WITH RECURSIVE found AS (
        (SELECT category FROM annotation_item WHERE project_id = %(project)s AND purpose = 'rank' AND category > ''
            ORDER BY category LIMIT 1)
        UNION ALL
        SELECT (SELECT item.category FROM annotation_item AS item WHERE item.project_id = %(project)s
            AND item.purpose = 'rank' AND item.category > found.category ORDER BY item.category LIMIT 1)
        FROM found WHERE found.category IS NOT NULL
    )
    SELECT category FROM found WHERE category IS NOT NULL LIMIT 500
"""


def categories_of(project: Project) -> list[str]:
    """The categories of a project's items, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_CATEGORIES, {"project": project.pk})
        return [category for (category,) in cursor.fetchall()]


def models_of(project: Project) -> list[ModelVersion]:
    """The models that a project's images were made by."""
    requests = GenerationRequest.objects.filter(project=project)
    compared = GenerationRequest.compared.through.objects.filter(generationrequest__in=requests.values("pk"))
    imports = requests.filter(kind=GenerationRequest.Kind.IMPORT)
    imported = Candidate.objects.filter(request__in=imports.values("pk"))
    known = Q(pk__in=requests.values("model")) | Q(pk__in=compared.values("modelversion"))
    return list(ModelVersion.objects.filter(known | Q(pk__in=imported.values("model"))).order_by("name"))


def people_of(project: Project) -> list[User]:
    """Those who were or are in a project, by name."""
    members = Membership.objects.filter(project=project).select_related("user")
    people = {one.user_id: one.user for one in members}
    people |= {one.annotator_id: one.annotator for one in project.records.select_related("annotator")}
    return sorted(people.values(), key=lambda one: one.display_name.lower())


def image_flags_of(project: Project) -> list[tuple[str, str]]:
    """The flags that the project's forms let annotators set on images, with their labels."""
    used = {project.template_version_id}
    template = project.template_version.template_id
    used |= set(TemplateVersion.objects.filter(template=template).values_list("pk", flat=True))
    found: dict[str, str] = {}
    for version in used:
        for component in form_of(version).walk():
            for flag in getattr(component, "flags", ()) if component.type == "image_flags" else ():
                found[flag.value] = flag.label or flag.value
    return sorted(found.items(), key=lambda one: one[1].lower())


def rankers_of(project: Project) -> Iterable[User]:
    """Whom items can be given to."""
    return [one.user for one in Membership.objects.rankers(project).select_related("user").order_by("user__username")]


NAMES = {
    "words": "Prompt", "model": "Model", "request": "Request", "category": "Category", "state": "State",
    "votes_min": "Votes from", "votes_max": "Votes to", "lead_min": "Lead from", "lead_max": "Lead to",
    "flagged": "Flagged", "near": "Look the same", "subset": "Subset", "all_bad": "All bad",
    "image_flag": "Image flag", "annotator": "Annotator", "kind": "By", "since": "From", "until": "To",
    "review": "Review", "purpose": "Shown", "order": "Order",
}  # fmt: skip
WORDS = {
    ("near", "any"): "an image of another item",
    ("near", "inside"): "two of its own images",
    ("kind", "human"): "people",
    ("kind", "simulated"): "simulated annotators",
    ("image_flag", "any"): "any",
    ("order", "oldest"): "oldest first",
    ("order", "least_agreed"): "least agreed first",
    ("order", "most_agreed"): "most agreed first",
    ("purpose", "gold"): "gold",
    ("purpose", "repeat"): "repeats",
}


def chips_of(project: Project, filters: Filters) -> list[dict[str, Any]]:
    """What is asked for, in words, each with the address without it."""
    chips = []
    defaults = Filters()
    for name, text in filters.given.items():
        said = WORDS.get((name, text)) or _named(project, filters, name) or text
        without = filters.but(**{name: getattr(defaults, name)})
        chips.append({"name": NAMES[name], "text": said, "query": without.query})
    return chips


def _named(project: Project, filters: Filters, name: str) -> str:
    value = getattr(filters, name)
    if name == "model":
        return str(ModelVersion.objects.filter(pk=value).first() or "")
    if name == "annotator":
        person = User.objects.filter(pk=value).first()
        return person.display_name if person else ""
    if name == "subset":
        return str(Subset.objects.filter(project=project, pk=value).first() or "")
    if name == "image_flag":
        return dict(image_flags_of(project)).get(value, "")
    return ""


def lists_of(project: Project) -> dict[str, Any]:
    """All that the filter bar offers."""
    return {
        "models": models_of(project),
        "categories": categories_of(project),
        "people": people_of(project),
        "image_flags": image_flags_of(project),
        "subsets": list(subsets_of(project)),
    }
