"""Hashes of what candidates look like, made in the background: of new images, and of old ones."""

from __future__ import annotations

import logging

from django.db import transaction

from easel.common.errors import NotFound
from easel.common.pictures import BadPicture
from easel.common.storage import storage
from easel.images.likeness import hash_of
from easel.images.models import Candidate
from easel.images.previews import preview_key
from generation.storage import StorageError

logger = logging.getLogger(__name__)

TASK = "easel.images.liken"
AT_ONCE = 16  # images a task: those who wait behind it on the queue wait half a second


@transaction.atomic
def hash_some() -> int:
    """Hash the next images that nobody has hashed; return how many there were. Idempotent.

    The copy that people see is read: it is small, and of one kind whatever the original was.
    """
    waiting = Candidate.objects.filter(likeness=Candidate.Likeness.UNKNOWN).order_by("id")
    found = list(waiting.select_for_update(skip_locked=True, no_key=True)[:AT_ONCE])
    for candidate in found:
        try:
            candidate.phash = hash_of(storage().read(preview_key(candidate)))
            candidate.likeness = Candidate.Likeness.HASHED
        except (NotFound, StorageError, BadPicture) as error:
            logger.warning("candidate %s is compared with no other: %s", candidate.pk, error)
            candidate.likeness = Candidate.Likeness.UNREADABLE
    Candidate.objects.bulk_update(found, ["phash", "likeness"])
    return len(found)
