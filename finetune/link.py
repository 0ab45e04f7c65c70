"""The training worker's line to the platform. See `generation.link`."""

from __future__ import annotations

from typing import Any

from finetune.types import ScoreResult, TrainClaim, TrainReport, TrainResult
from generation.link import Line, PlatformUnreachableError
from generation.types import Failure

__all__ = ["Failure", "PlatformUnreachableError", "TrainLink"]


class TrainLink(Line):
    """What a training worker says to the platform, and hears."""

    def claim(self, claim: TrainClaim) -> dict[str, Any] | None:
        """Ask for a run, then for something to score: a `Work` as JSON, or None when there is neither."""
        for kind, task in (("train", "easel.training.claim"), ("score", "easel.evaluation.claim_scores")):
            if (answer := self._claim(task, claim)) is not None:
                return {kind: answer}
        return None

    def report(self, report: TrainReport) -> bool:
        """Tell what a run measured and made; False where the broker is away. Waits for nobody: the run goes on."""
        return self._try_to_send("easel.training.report", report)

    def last_report(self, report: TrainReport) -> None:
        """Tell what is still to be told before a run is handed in. Raises PlatformUnreachableError."""
        self._deliver("easel.training.report", report)

    def finish(self, result: TrainResult) -> None:
        """Hand in the weights of a run. Raises PlatformUnreachableError."""
        self._deliver("easel.training.finish", result)

    def record_scores(self, result: ScoreResult) -> None:
        """Hand in scores. Raises PlatformUnreachableError."""
        self._deliver("easel.evaluation.record_scores", result)
