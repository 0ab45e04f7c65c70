"""A large project, filled by a few statements: items with images, and what annotators said of them."""

from __future__ import annotations

from django.db import connection

from tests.cast import Cast, make_items, make_user

FLAGS = '{"harm": {"c1": ["violence"]}}'


def fill(cast: Cast, annotations: int) -> None:
    """Fill alice's project, and one as large beside it. There are ten annotations for three items.

    Foreign keys are checked at the end of a transaction, so let this one be rolled back: to check millions takes long.
    """
    make_items(cast, 1, images=2)
    make_items(cast, 1, images=2, project=cast.foreign)
    critic = make_user("critic", cast.project, kind="simulated")
    items = annotations * 3 // 10
    people = [str(make_user(f"person{number}", cast.project).pk) for number in range(9)]
    with connection.cursor() as cursor:
        for project in (cast.project, cast.foreign):
            _fill_project(cursor, str(project.pk), items, annotations, [str(cast.bob.pk), str(critic.pk), *people])
        cursor.execute(
            "ANALYZE annotation_item, annotation_item_candidates, annotation_annotation, annotation_assignment,"
            " images_candidate, images_generationrequest, prompts_prompt, annotation_alike, annotation_twins"
        )


def _fill_project(cursor: object, project: str, items: int, annotations: int, people: list[str]) -> None:
    names = {"project": project, "items": items, "annotations": annotations, "people": people}
    for statement in (PROMPTS, ITEMS, CANDIDATES, LINKS, ASSIGNMENTS, ANNOTATIONS, ALIKE, TWINS):
        cursor.execute(statement, names)  # type: ignore[attr-defined]


# Ids are made of numbers, so that the statements agree on them without a join.
_ID = "md5(%(project)s || '{0}' || n)::uuid"
_TIME = "now() - interval '1 second' * (%(annotations)s - n)"
_V7 = "lpad(to_hex(n), 12, '0') || substr(md5(%(project)s || '{0}' || n), 13)"
_ITEM = f"({_V7.format('item')})::uuid"
PROMPTS = f"""
    INSERT INTO prompts_prompt (id, project_id, text, negative, metadata, held_out, digest, created_at)
    SELECT {_ID.format("prompt")}, %(project)s::uuid,
        'an icon of ' || n || ' ' || (ARRAY['apples', 'pears', 'foxes', 'rockets'])[1 + n %% 4]
        || CASE WHEN n %% 5000 = 0 THEN ' with a rare zeppelin' ELSE '' END,
        '', '{{}}', false, md5(%(project)s || n) || md5(n::text), now()
    FROM generate_series(1, %(items)s) AS n
"""
ITEMS = f"""
    INSERT INTO annotation_item (id, project_id, prompt_id, request_id, template_version_id, "group", state, priority,
        audience, purpose, votes, lead, category, matchup, flagged_at, created_at)
    SELECT {_ITEM}, %(project)s::uuid, {_ID.format("prompt")}, one.request_id,
        one.template_version_id, 0, (ARRAY['ready', 'done', 'done', 'done'])[1 + n %% 4]::varchar, 0, '', 'rank',
        n %% 6, (n %% 13) / 4.0, (ARRAY['animals', 'fruit', 'vehicles', 'people', ''])[1 + n %% 5], '',
        CASE WHEN n %% 1000 = 0 THEN now() END, now()
    FROM generate_series(1, %(items)s) AS n,
        (SELECT * FROM annotation_item WHERE project_id = %(project)s::uuid LIMIT 1) AS one
"""
CANDIDATES = f"""
    INSERT INTO images_candidate (id, request_id, prompt_id, model_id, position, seed, key, sha256, width, height, size,
        manifest, metadata, preview_key, created_at)
    SELECT md5(%(project)s || 'candidate' || n || '-' || place)::uuid, one.request_id, {_ID.format("prompt")},
        one.model_id, place, n, 'aa/' || md5(n::text) || md5(n::text) || '.png', md5(n::text) || md5(n::text), 64, 64,
        900, '{{}}', '{{}}', '', now()
    FROM generate_series(1, %(items)s) AS n, generate_series(0, 1) AS place,
        (SELECT candidate.* FROM images_candidate AS candidate JOIN annotation_item_candidates AS link
            ON link.candidate_id = candidate.id JOIN annotation_item AS item ON item.id = link.item_id
            WHERE item.project_id = %(project)s::uuid LIMIT 1) AS one
"""
LINKS = f"""
    INSERT INTO annotation_item_candidates (item_id, candidate_id)
    SELECT {_ITEM}, md5(%(project)s || 'candidate' || n || '-' || place)::uuid
    FROM generate_series(1, %(items)s) AS n, generate_series(0, 1) AS place
"""
_OF = "n %% %(items)s + 1"
ASSIGNMENTS = f"""
    INSERT INTO annotation_assignment (id, item_id, annotator_id, state, shown_order, expires_at, draft_version,
        skip_reason, created_at)
    SELECT {_ID.format("assignment")}, {_ITEM.replace("|| n", f"|| ({_OF})").replace("to_hex(n)", f"to_hex({_OF})")},
        (%(people)s::uuid[])[1 + n / %(items)s], 'submitted', '{{}}', now(), 0, '', now()
    FROM generate_series(0, %(annotations)s - 1) AS n
"""
ANNOTATIONS = f"""
    INSERT INTO annotation_annotation (id, assignment_id, project_id, item_id, annotator_id, answers, ranking,
        ties_are_equal, all_bad, active_ms, body_hash, purpose, review_state, revision, created_at)
    SELECT {_ID.format("annotation")}, {_ID.format("assignment")}, %(project)s::uuid,
        {_ITEM.replace("|| n", f"|| ({_OF})").replace("to_hex(n)", f"to_hex({_OF})")},
        (%(people)s::uuid[])[CASE WHEN n %% 50 = 0 THEN 2 WHEN n %% 3 = 0 THEN 1 ELSE 3 + n %% 9 END],
        CASE WHEN n %% 2000 = 0 THEN '{FLAGS}' ELSE '{{"ranking": [["c1"], ["c2"]]}}' END::jsonb, '[]', true,
        n %% 700 = 0, 9000, '', 'rank', CASE WHEN n %% 900 = 0 THEN 'waiting' ELSE '' END, 0, {_TIME}
    FROM generate_series(0, %(annotations)s - 1) AS n
"""
ALIKE = f"""
    INSERT INTO annotation_alike (candidate_id, project_id, item_id, "group")
    SELECT md5(%(project)s || 'candidate' || n || '-0')::uuid, %(project)s::uuid, {_ITEM}, md5('g' || n / 2)::uuid
    FROM generate_series(1, %(items)s, 97) AS n
"""
TWINS = f"""
    INSERT INTO annotation_twins (id, project_id, item_id, first_id, second_id, distance)
    SELECT {_ID.format("twins")}, %(project)s::uuid, {_ITEM}, md5(%(project)s || 'candidate' || n || '-0')::uuid,
        md5(%(project)s || 'candidate' || n || '-1')::uuid, 3
    FROM generate_series(1, %(items)s, 997) AS n
"""
