"""The worker's environment, typed, read once. A bad value stops start-up with one clear line.

A worker has no database password and no secret key: these are all the variables that it reads.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

REDIS_SCHEMES = {"redis", "rediss", "redis+socket"}
AMQP_SCHEMES = {"amqp", "amqps"}


# Their values hold passwords: a complaint about one does not repeat it.
_SECRET = {"BROKER_URL", "RESULT_URL", "STORAGE_URL"}


E = TypeVar("E", bound="HubEnvironment")


class HubEnvironment(BaseSettings):
    """What the process of one run needs to know as well: it has no broker."""

    model_config = SettingsConfigDict(env_prefix="EASEL_", frozen=True, populate_by_name=True)

    hub_download: bool = Field(default=False, description="Whether a missing hub: model may be downloaded.")


class WorkerEnvironment(HubEnvironment):
    """What the operator sets for a worker: the field in upper case after EASEL_, unless it names a variable itself."""

    broker_url: str = Field(validation_alias="BROKER_URL", description="redis://, redis+socket:// or amqp:// URL.")
    result_url: str = Field(
        default="", validation_alias="RESULT_URL", description="Where the platform's replies arrive; empty: the broker."
    )
    storage_url: str = Field(
        default="",
        validation_alias="STORAGE_URL",
        description="The image storage as this machine reaches it; empty: the URL in each request.",
    )
    model_path: str = Field(default="", description="Folders that hold model folders, separated as PATH is.")
    weights_folder: str = Field(
        default="", description="Where adapters out of the storage are kept; empty: weights in EASEL_HOME, else /tmp."
    )
    models_kept: int = Field(default=2, ge=1, le=32, description="Pipelines kept loaded.")
    render_batch: int | None = Field(default=None, ge=1, le=256, description="Images per call; empty: 8, on CUDA 16.")
    heartbeat_seconds: float = Field(default=5.0, gt=0, le=60, description="Between two signs of life of a job.")
    claim_seconds: float = Field(default=15.0, gt=0, le=120, description="How long to wait for the platform's reply.")
    send_seconds: float = Field(default=60.0, gt=0, le=3_600, description="How long to retry while the broker is away.")

    @field_validator("broker_url")
    @classmethod
    def _broker_is_known(cls, value: str) -> str:
        if urlsplit(value).scheme not in REDIS_SCHEMES | AMQP_SCHEMES:
            raise ValueError("must start with redis://, rediss://, redis+socket://, amqp:// or amqps://")
        return value

    @field_validator("result_url")
    @classmethod
    def _result_is_known(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in REDIS_SCHEMES | {"rpc"}:
            raise ValueError("must start with redis://, rediss://, redis+socket:// or rpc://")
        return value

    @field_validator("storage_url")
    @classmethod
    def _storage_is_a_url(cls, value: str) -> str:
        if value and "://" not in value:
            raise ValueError("must be a URL, as file:///srv/easel/images or s3://bucket/prefix")
        return value

    @field_validator("model_path")
    @classmethod
    def _model_folders_exist(cls, value: str) -> str:
        for part in filter(None, value.split(os.pathsep)):
            if not Path(part).is_dir():
                raise ValueError(f"{part} is no folder")
        return value

    @property
    def replies(self) -> str:
        """The result backend through which the platform answers a claim."""
        if self.result_url:
            return self.result_url
        return self.broker_url if urlsplit(self.broker_url).scheme in REDIS_SCHEMES else "rpc://"


def read_environment(kind: type[E]) -> E:
    """Read the environment, or stop the process with one line per bad variable."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            variable = name if name.isupper() else f"EASEL_{name.upper()}"
            if problem["type"] == "missing":
                sys.stderr.write(f"{variable} is not set; a worker needs it\n")
            else:
                given = "" if variable in _SECRET else f" (got {problem['input']!r})"
                sys.stderr.write(f"{variable}: {problem['msg'].removeprefix('Value error, ')}{given}\n")
        raise SystemExit(2) from None


def quieten_libraries(*, hub_download: bool) -> None:
    """Turn off telemetry, progress bars and, unless allowed, the hub. Only works before diffusers is imported."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it warns of optional packages at every start
    if not hub_download:
        os.environ["HF_HUB_OFFLINE"] = "1"
