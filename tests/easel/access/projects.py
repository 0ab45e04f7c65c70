"""Projects, their people and their invitations."""

from __future__ import annotations

from typing import Any

from tests import cast as stage
from tests.easel.access.callers import INSPECTORS, MANAGERS, MEMBERS, Row, act, all_of, api, page
from tests.easel.access.world import World

ROWS: dict[str, Row] = {
    "api:projects": {"GET": all_of(401, 200), "POST": all_of(401, 201)},
    "api:project": {"GET": api(MEMBERS)},
    "projects": {"GET": all_of(302, 200)},
    "new_project": {"GET": all_of(302, 200), "POST": all_of(302, 302)},
    "overview": {"GET": page(INSPECTORS) | {"annotator": 302}},  # led to the ranking page
    "people": {"GET": page(MANAGERS), "POST": page(MANAGERS)},
    "member_role": {"POST": act(MANAGERS)},
    "remove_member": {"POST": act(MANAGERS)},
    "withdraw_invitation": {"POST": act(MANAGERS)},
    "project_settings": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "invitation": {"GET": all_of(200, 200) | {"deactivated": 403}, "POST": all_of(200, 302) | {"deactivated": 403}},
}


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    project = world.cast.project.pk
    return {
        "member_role": [project, world.member.pk],
        "remove_member": [project, world.member.pk],
        "withdraw_invitation": [project, world.invitation.pk],
        "invitation": [world.secret],
    }


def bodies(world: World) -> dict[str, dict[str, Any]]:
    """Bodies that somebody who may do it succeeds with."""
    return {
        "api:projects": {"name": "Mine", "template": stage.TEMPLATE},
        "new_project": {
            "name": "Mine",
            "template": world.cast.project.template_version.template_id,
            "overlap": 1,
        },
        "people": {"role": "annotator", "days": 7, "max_uses": 1},
        "member_role": {"role": "annotator"},
        "project_settings": {"name": "Icons", "guidelines": "Be kind."},
    }
