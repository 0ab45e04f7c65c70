"""Fills a project with many items at once: copies of those that it has, made in Postgres, for tests of size.

Prompts, candidates and links are rows of their own, as they would be; the images' files are shared. What is copied is
read off the models, so a column that is added later is copied too. A million items take some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from easel.accounts.models import User
from easel.annotation.models import Annotation, Assignment, Item
from easel.images.models import Candidate
from easel.projects.models import Project
from easel.prompts.models import Prompt

_ITEMS = """
    CREATE TEMPORARY TABLE stock ON COMMIT DROP AS
    SELECT number, uuidv7() AS item, uuidv7() AS prompt, sample.id AS sample, sample.prompt_id AS sample_prompt
    FROM generate_series(1, %(count)s) AS number
    JOIN (
        SELECT id, prompt_id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS samples
        FROM (
            SELECT id, prompt_id FROM annotation_item
            WHERE project_id = %(project)s AND state = 'ready' AND purpose = 'rank' AND request_id IS NOT NULL
            ORDER BY id LIMIT 100
        ) AS first
    ) AS sample ON sample.place = number %% sample.samples
"""
_PICTURES = """
    CREATE TEMPORARY TABLE stock_picture ON COMMIT DROP AS
    SELECT uuidv7() AS candidate, link.candidate_id AS sample, stock.item, stock.prompt
    FROM stock JOIN annotation_item_candidates AS link ON link.item_id = stock.sample
"""
# Those done are spread over the whole stock, as priorities and skips spread them.
_DONE = """
    CREATE TEMPORARY TABLE stock_done ON COMMIT DROP AS
    SELECT uuidv7() AS assignment, uuidv7() AS annotation, picked.item, picked.place, picked.of_item,
        person.id AS annotator, picked.shown
    FROM (
        SELECT stock.item, stock.number AS place, times AS of_item,
            (SELECT array_agg(candidate) FROM stock_picture AS picture WHERE picture.item = stock.item) AS shown
        FROM stock, generate_series(0, %(each)s - 1) AS times WHERE stock.number %% 1000 < %(permille)s
    ) AS picked
    JOIN (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS people
        FROM unnest(%(people)s) AS id
    ) AS person ON person.place = (picked.place * %(each)s + picked.of_item) %% person.people
"""


_MODELS = (Prompt, Candidate, Item, Item.candidates.through, Assignment, Annotation)
_PORTION = 25_000  # items of one transaction


def fill(project: Project, count: int, *, done: float = 0.0, by: Sequence[User] = (), each: int = 1) -> None:
    """Add `count` items that are ready, and have `each` of `by` rank the share `done` of them.

    The project has items already: those that are ready are the samples. With `by` it has an annotation as well.
    """
    while count > 0:
        _fill(project, min(count, _PORTION), done, by, each)
        count -= _PORTION


@contextmanager
def unchecked() -> Iterator[None]:
    """Leave the foreign keys of these tables unchecked meanwhile: three times as quick. New rows are checked after it.

    For a database that nobody else uses.
    """
    tables = [model._meta.db_table for model in _MODELS]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid::regclass::text = ANY (%s)",
            [tables],
        )
        keys = cursor.fetchall()
        for table, name, _ in keys:
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        try:
            yield
        finally:
            for table, name, definition in keys:
                cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition} NOT VALID')


@transaction.atomic
def _fill(project: Project, count: int, done: float, by: Sequence[User], each: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS, {"project": project.pk, "count": count})
        cursor.execute("CREATE INDEX ON stock (item)")
        cursor.execute(_PICTURES)
        cursor.execute("CREATE INDEX ON stock_picture (item)")
        text = "row.text || ', picture ' || stock.number"
        digest = "md5(stock.prompt::text) || md5(stock.number::text)"
        source = "stock JOIN prompts_prompt AS row ON row.id = stock.sample_prompt"
        _copy(cursor, Prompt, source, {"id": "stock.prompt", "text": text, "digest": digest})
        source = "stock_picture AS new JOIN images_candidate AS row ON row.id = new.sample"
        _copy(cursor, Candidate, source, {"id": "new.candidate", "prompt_id": "new.prompt"})
        source = "stock JOIN annotation_item AS row ON row.id = stock.sample"
        _copy(cursor, Item, source, {"id": "stock.item", "prompt_id": "stock.prompt", "spot": "random()"})
        cursor.execute(
            "INSERT INTO annotation_item_candidates (item_id, candidate_id) SELECT item, candidate FROM stock_picture"
        )
        if by and done:
            _have_it_ranked(cursor, project, [user.pk for user in by], each, round(1_000 * done))


def _have_it_ranked(cursor: Any, project: Project, people: list[Any], each: int, permille: int) -> None:
    sample = Annotation.objects.filter(project=project).latest("id")
    cursor.execute(_DONE, {"people": people, "each": each, "permille": permille})
    source = "stock_done AS new, annotation_assignment AS row WHERE row.id = %(sample)s"
    new = {"id": "new.assignment", "item_id": "new.item", "annotator_id": "new.annotator", "shown_order": "new.shown"}
    _copy(cursor, Assignment, source, new, sample=sample.assignment_id)
    ranking = "(SELECT jsonb_agg(jsonb_build_array(one)) FROM unnest(new.shown) AS one)"
    new = {
        "id": "new.annotation",
        "assignment_id": "new.assignment",
        "item_id": "new.item",
        "annotator_id": "new.annotator",
        "ranking": ranking,
        "answers": f"row.answers || jsonb_build_object('ranking', {ranking})",
        "body_hash": "md5(new.annotation::text) || md5(new.item::text)",
    }
    source = "stock_done AS new, annotation_annotation AS row WHERE row.id = %(sample)s"
    _copy(cursor, Annotation, source, new, sample=sample.pk)
    cursor.execute(
        "UPDATE annotation_item SET state = 'done', votes = %s, lead = %s, wants = %s"
        " FROM (SELECT DISTINCT item FROM stock_done) AS done WHERE annotation_item.id = done.item",
        [each, each, each],
    )


def _copy(cursor: Any, model: type[Model], source: str, new: Mapping[str, str], **parameters: Any) -> None:
    """Insert copies of rows, called `row` in the source, with some columns new."""
    columns = [field.column for field in model._meta.concrete_fields]
    values = [new.get(str(column), f'row."{column}"') for column in columns]
    names = ", ".join(f'"{column}"' for column in columns)
    cursor.execute(
        f"INSERT INTO {model._meta.db_table} ({names}) SELECT {', '.join(values)} FROM {source}", parameters or None
    )


def analyze() -> None:
    """Let Postgres know how large the tables have become, as its own clock would in a minute."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
