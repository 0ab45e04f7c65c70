"""What new items are told of what they are made from: their prompt's category, and the models that they compare."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from easel.annotation.models import Item

_LABEL = """
    UPDATE annotation_item AS item SET category = known.category, matchup = known.matchup
    FROM (
        SELECT own.id, left(coalesce(prompt.metadata ->> 'category', ''), 100) AS category, coalesce((
            SELECT left(md5(string_agg(DISTINCT candidate.model_id::text, ',')), 16)
            FROM annotation_item_candidates AS link
            JOIN images_candidate AS candidate ON candidate.id = link.candidate_id
            WHERE link.item_id = own.id HAVING count(DISTINCT candidate.model_id) > 1
        ), '') AS matchup
        FROM annotation_item AS own JOIN prompts_prompt AS prompt ON prompt.id = own.prompt_id
        WHERE own.id = ANY (%s)
    ) AS known
    WHERE known.id = item.id AND (known.category <> '' OR known.matchup <> '')
"""


def label(items: Collection[Item]) -> None:
    """Store it for items that were just made. Comparisons of the same models have the same key."""
    if items:
        with connection.cursor() as cursor:
            cursor.execute(_LABEL, [[item.pk for item in items]])
