"""Why a request is refused or given back: typed errors with the stable `code` that the platform shows and counts.

Anything else that a worker raises is a bug; it is reported as `unexpected`, with the traceback in the worker's log.
"""

from __future__ import annotations

from typing import ClassVar


class RenderError(Exception):
    """A request could not be rendered; the message says what was wrong, where, and what to do."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    """Whether another attempt, of this worker or of another, can help."""


class ModelNotFoundError(RenderError):
    """The model is not on this machine. Another worker may have it."""

    code = "model_not_found"
    retryable = True


class ModelBrokenError(RenderError):
    """The model's files are incomplete, unreadable, pickled, or make no usable numbers."""

    code = "model_broken"


class WrongPipelineError(RenderError):
    """The model is no text-to-image pipeline of diffusers, or asks for code from elsewhere."""

    code = "wrong_pipeline"


class WrongSchedulerError(RenderError):
    """The model cannot be sampled with the scheduler that the request names."""

    code = "wrong_scheduler"


class WrongSizeError(RenderError):
    """The model cannot make images of this size."""

    code = "wrong_size"


class WrongSettingError(RenderError):
    """The model does not read something that the request gives."""

    code = "wrong_setting"


class WrongAdapterError(RenderError):
    """A LoRA adapter or a ControlNet does not fit the model, or cannot be read."""

    code = "wrong_adapter"


class WrongConditioningError(RenderError):
    """A picture to start from is missing, of a wrong size, or of no use to this model."""

    code = "wrong_conditioning"


class WeightsChangedError(RenderError):
    """The files under the model's name are not those that were registered. Another worker may have the right ones."""

    code = "weights_changed"
    retryable = True


class PromptTooLongError(RenderError):
    """A prompt has more tokens than the model reads. It is refused, never cut without a word."""

    code = "prompt_too_long"


class OutOfMemoryError(RenderError):
    """Not even one image of this size fits into the device's memory."""

    code = "out_of_memory"


class StorageFullError(RenderError):
    """The image storage has no room left; the work waits until somebody makes some."""

    code = "storage_full"
    retryable = True


class StorageFailedError(RenderError):
    """The image storage cannot be written for another reason (rights, network)."""

    code = "storage_failed"
    retryable = True


class WorkerStoppingError(RenderError):
    """The worker was told to stop and gives its job back."""

    code = "worker_stopping"
    retryable = True


class ServiceUnknownError(RenderError):
    """This worker's environment names no such service. Another worker's may."""

    code = "service_unknown"
    retryable = True


class ServiceCannotError(RenderError):
    """The request asks a service for what the images protocol does not have, as a number of steps."""

    code = "service_cannot"


class ServiceKeyError(RenderError):
    """The service does not accept the worker's key, or does not let it do this."""

    code = "service_key"


class ServiceRefusedError(RenderError):
    """The service refuses what it was asked for, as a text against its rules; its words are in the message."""

    code = "service_refused"


class ServiceAnswerError(RenderError):
    """The service's answer is of no use: a redirect, another format, too large, no image. It may have been paid for."""

    code = "service_answer"


class ServiceUnavailableError(RenderError):
    """The service was busy, broken or silent however often it was asked."""

    code = "service_unavailable"
    retryable = True
