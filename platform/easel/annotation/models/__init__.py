"""Items, the leases on them, what annotators answered, and what others said of that."""

from easel.annotation.models.annotations import Annotation, Record, Revision
from easel.annotation.models.assignments import Assignment
from easel.annotation.models.bulk import BulkAct, BulkActItem
from easel.annotation.models.curation import Matchup, Recount, SavedQuery, Subset
from easel.annotation.models.gold import Gold, MadePicture
from easel.annotation.models.items import Item, audiences_of, rule_of
from easel.annotation.models.likeness import Alike, Twins
from easel.annotation.models.reviews import Adjudication, Comment, Review

__all__ = [
    "Adjudication",
    "Alike",
    "Annotation",
    "Assignment",
    "BulkAct",
    "BulkActItem",
    "Comment",
    "Gold",
    "Item",
    "MadePicture",
    "Matchup",
    "Record",
    "Recount",
    "Review",
    "Revision",
    "SavedQuery",
    "Subset",
    "Twins",
    "audiences_of",
    "rule_of",
]
