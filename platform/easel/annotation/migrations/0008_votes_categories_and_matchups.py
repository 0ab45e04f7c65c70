"""Fill in what items were not told when they were made: their votes, their prompt's category, the models compared."""

from django.db import migrations

VOTES = """
    UPDATE annotation_item AS item SET votes = counted.n
    FROM (SELECT item_id, count(*) AS n FROM annotation_assignment WHERE state = 'submitted' GROUP BY item_id) AS counted
    WHERE counted.item_id = item.id
"""
CATEGORIES = """
    UPDATE annotation_item AS item SET category = left(prompt.metadata ->> 'category', 100)
    FROM prompts_prompt AS prompt WHERE prompt.id = item.prompt_id AND prompt.metadata ->> 'category' <> ''
"""
MATCHUPS = """
    UPDATE annotation_item AS item SET matchup = compared.key
    FROM (
        SELECT link.item_id, left(md5(string_agg(DISTINCT candidate.model_id::text, ',')), 16) AS key
        FROM annotation_item_candidates AS link JOIN images_candidate AS candidate ON candidate.id = link.candidate_id
        GROUP BY link.item_id HAVING count(DISTINCT candidate.model_id) > 1
    ) AS compared
    WHERE compared.item_id = item.id
"""


class Migration(migrations.Migration):

    dependencies = [("annotation", "0007_gold_reviews_and_curation")]

    operations = [migrations.RunSQL(sql, migrations.RunSQL.noop) for sql in (VOTES, CATEGORIES, MATCHUPS)]
