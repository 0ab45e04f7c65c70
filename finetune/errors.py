"""Why a fine-tune or a measurement is refused or given back: typed errors with a stable `code`, as `generation.errors`.

Anything else that is raised is a bug; it is reported as `unexpected`, with the traceback in the worker's log.
"""

from __future__ import annotations

from typing import ClassVar


class FinetuneError(Exception):
    """The work cannot be done; the message says what was wrong, where, and what to do, in one line."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    """Whether another attempt, of this worker or of another, can help."""


class SnapshotEmptyError(FinetuneError):
    """The snapshot holds nothing that the method can learn from: no pairs, or ties only."""

    code = "snapshot_empty"


class SnapshotBrokenError(FinetuneError):
    """A file or an image of the snapshot is missing, unreadable, or not the one that was frozen."""

    code = "snapshot_broken"


class WrongMethodError(FinetuneError):
    """The method does not fit what it should learn from."""

    code = "wrong_method"


class WrongBaseError(FinetuneError):
    """The base model cannot be fine-tuned, or is not what an adapter or a reward model was made for."""

    code = "wrong_base"


class WrongConfigError(FinetuneError):
    """A setting is unknown, missing, or out of its range."""

    code = "wrong_config"


class NotANumberError(FinetuneError):
    """The loss, or what is measured of held-out rows, is no number, and there is no good checkpoint to keep."""

    code = "loss_not_a_number"


class WorseThanBaseError(FinetuneError):
    """At the first checkpoint already, preferred held-out images are too much less likely than to the base."""

    code = "worse_than_base"


class OutOfMemoryError(FinetuneError):
    """The device's memory is too small for these settings; the message names the knob to lower."""

    code = "out_of_memory"


class ImageUnreadableError(FinetuneError):
    """An image that should be measured is no picture."""

    code = "image_unreadable"
