"""The training worker's environment: the rendering worker's, and where runs are kept while they are at work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import Field

from generation.env import WorkerEnvironment


class TrainEnvironment(WorkerEnvironment):
    """What the operator sets for a training worker. See `generation.env`."""

    train_folder: str = Field(
        default="", description="Where runs keep their checkpoints; empty: training in EASEL_HOME, else in /tmp."
    )
    train_patience_seconds: float = Field(
        default=60.0, gt=0, le=3_600, description="How long a run that is told to stop may take for its checkpoint."
    )

    @property
    def runs(self) -> Path:
        """The folder with one folder a run. A run that is tried again goes on from what lies there."""
        if self.train_folder:
            return Path(self.train_folder)
        home = os.environ.get("EASEL_HOME")
        return Path(home) / "training" if home else Path(tempfile.gettempdir()) / f"easel-training-{os.getuid()}"
