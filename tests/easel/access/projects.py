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
    "member": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "pause_member": {"POST": act(MANAGERS)},
    "resume_member": {"POST": act(MANAGERS)},
    "deactivate_member": {"POST": act(MANAGERS)},
    "reactivate_member": {"POST": act(MANAGERS)},
    "remove_member": {"POST": act(MANAGERS)},
    "pause_project": {"POST": act(MANAGERS)},
    "resume_project": {"POST": act(MANAGERS)},
    "see_notice": {"POST": act(MANAGERS)},
    "api:members": {"GET": api(MANAGERS)},
    "api:member": {"GET": api(MANAGERS), "PATCH": api(MANAGERS), "DELETE": api(MANAGERS, 204)},
    "api:member_pause": {"PUT": api(MANAGERS), "DELETE": api(MANAGERS)},
    "api:member_deactivation": {"PUT": api(MANAGERS), "DELETE": api(MANAGERS)},
    "api:project_pause": {"PUT": api(MANAGERS), "DELETE": api(MANAGERS)},
    "api:invitations": {"GET": api(MANAGERS), "POST": api(MANAGERS, 201)},
    "api:invitation": {"DELETE": api(MANAGERS, 204)},
    "api:notices": {"GET": api(MANAGERS)},
    "api:notice_seen": {"POST": api(MANAGERS, 201)},
    "withdraw_invitation": {"POST": act(MANAGERS)},
    "project_settings": {"GET": page(MANAGERS), "POST": act(MANAGERS)},
    "overlap_progress": {"GET": page(MANAGERS)},
    "api:project_settings": {"GET": api(MANAGERS), "PATCH": api(MANAGERS)},
    "api:project_overlap": {"GET": api(MANAGERS), "PUT": api(MANAGERS, 202)},
    "invitation": {"GET": all_of(200, 200) | {"deactivated": 403}, "POST": all_of(200, 302) | {"deactivated": 403}},
}

MEMBER = (
    "member", "pause_member", "resume_member", "deactivate_member", "reactivate_member", "remove_member",
    "api:member", "api:member_pause", "api:member_deactivation",
)  # fmt: skip
PAUSES = ("pause_member", "pause_project", "api:member_pause", "api:project_pause")


def addresses(world: World) -> dict[str, list[Any]]:
    """What the addresses name, where it is not the project."""
    project = world.cast.project.pk
    return {
        **{key: [project, world.member.pk] for key in MEMBER},
        **{key: [world.notice.pk] for key in ("see_notice", "api:notice_seen")},
        **{key: [project, world.invitation.pk] for key in ("withdraw_invitation", "api:invitation")},
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
        "api:invitations": {"role": "reviewer"},
        "member": {"role": "annotator"},
        "api:member": {"limit_day": 50},
        **{key: {"reason": "The guidelines change."} for key in PAUSES},
        "api:project_settings": {"gold_share": 20},
        "api:project_overlap": {"start": 1},
        "project_settings": {"name": "Icons", "guidelines": "Be kind."},
    }
