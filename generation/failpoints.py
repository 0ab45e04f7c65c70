"""Named places where a process ends itself as kill -9 does, for the tests that look at what is left behind.

EASEL_FAILPOINT=NAME makes the process die when it comes to the place; NAME=WHAT only when it comes there with WHAT, as
`claimed=Painter`: with a job of that model. Empty, as always outside of tests, a place costs one comparison.
"""

from __future__ import annotations

import os
import signal
from typing import Literal

VARIABLE = "EASEL_FAILPOINT"
RenderPlace = Literal[
    "claimed",  # a job is leased, nothing is done yet
    "model_loaded",
    "mid_denoise",
    "decoded",  # an image is encoded as PNG, no file is there
    "file_written",  # under its temporary name
    "renamed",  # visible in storage, not recorded
    "between_records",  # a part of the images is recorded
    "last_record",  # all are, and the worker has not asked for more
]
TrainPlace = Literal[
    "trained_step",  # of a fine-tune; WHAT is its number
    "heard_step",  # of the same, in its worker
    "trained",  # the last step is done, nothing is in storage
]

chosen = os.environ.get(VARIABLE, "")


def failpoint(place: RenderPlace | TrainPlace, what: str = "") -> None:
    """Die here, if the environment says so."""
    if chosen and chosen in {place, f"{place}={what}"}:
        os.kill(os.getpid(), signal.SIGKILL)
