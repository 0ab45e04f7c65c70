"""Templates."""

from __future__ import annotations

from typing import Any

from tests import cast as stage
from tests.easel.access.callers import INSPECTORS, MANAGERS, MEMBERS, Row, act, all_of, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:templates": {"GET": all_of(401, 200)},
    "api:template_schema": {"GET": all_of(401, 200)},
    "api:template": {"GET": api(INSPECTORS), "PATCH": api(MANAGERS), "DELETE": api(MANAGERS, 204)},
    "api:template_draft": {"GET": api(INSPECTORS), "PUT": api(MANAGERS)},
    "api:template_versions": {"GET": api(MEMBERS), "POST": api(MANAGERS, 201)},
    "api:template_version": {"GET": api(MEMBERS)},
    "api:template_differences": {"GET": api(INSPECTORS)},
    "api:template_dry_run": {"POST": api(INSPECTORS)},
    "api:project_templates": {"POST": api(MANAGERS, 201)},
    "api:project_template": {"PUT": api(MANAGERS)},
    "preview_template": {"POST": all_of(302, 200)},
    "template_preview": {"GET": all_of(302, 200)},
    "templates": {"GET": page(INSPECTORS)},
    "new_template": {"POST": act(MANAGERS)},
    "template": {"GET": page(INSPECTORS), "POST": act(MANAGERS)},
    "build_template": {"GET": page(MANAGERS)},
    "publish_template": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "export_template": {"GET": page(INSPECTORS)},
    "delete_template": {"POST": act(MANAGERS)},
    "use_template": {"POST": act(MANAGERS)},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    project = world.cast.project.pk
    template = [world.template.pk]
    return {
        "template_preview": [stage.TEMPLATE],
        "api:template": template,
        "api:template_draft": template,
        "api:template_versions": template,
        "api:template_version": [*template, 1],
        "api:template_differences": template,
        "api:template_dry_run": template,
        "template": [project, *template],
        "build_template": [project, *template],
        "publish_template": [project, *template],
        "export_template": [project, *template],
        "delete_template": [project, *template],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
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
    }
