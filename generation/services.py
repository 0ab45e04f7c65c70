"""The image services that a worker may ask, typed, read once from its environment.

A service `api:my-painter` is described by the variables EASEL_API_MY_PAINTER_URL, ..._KEY and so on. Its key is in no
message, log, file or database: a `SecretStr` here, and taken out of what the service says.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

PREFIX = "EASEL_API_"


class ApiService(BaseModel):
    """One service that speaks the OpenAI images protocol; each field is the variable EASEL_API_NAME_ and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(description="Where its images/generations lies, as https://api.example.com/v1")
    key: SecretStr = Field(default=SecretStr(""), description="Sent as a bearer token; empty: none is sent.")
    model: str = Field(min_length=1, max_length=200, description="The model as the service names it.")
    size: str = Field(default="", pattern=r"^(\d{2,4}x\d{2,4}|auto)?$", description="Empty: the service's own.")
    response_format: Literal["b64_json", "url", "none"] = Field(
        default="b64_json", description="How images come; none: the service is not told (it knows no such field)."
    )
    images_per_minute: float | None = Field(default=None, gt=0, le=100_000, description="Empty: no limit.")
    parallel: int = Field(default=4, ge=1, le=32, description="Images asked for at the same time.")
    cost_per_image: float | None = Field(
        default=None, ge=0, le=1_000, description="What an image costs, in the currency you count in."
    )
    attempts: int = Field(default=4, ge=1, le=20, description="How often an image is asked for.")
    timeout_seconds: float = Field(
        default=120.0, gt=0, le=1_800, description="For one answer, from first to last byte."
    )
    total_seconds: float = Field(default=300.0, gt=0, le=3_600, description="For one image, with all its attempts.")
    max_mb: int = Field(default=32, ge=1, le=512, description="The largest answer that is read.")

    @field_validator("url")
    @classmethod
    def _url_is_plain(cls, value: str) -> str:
        parts = urlsplit(value)
        try:
            usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
        except ValueError:  # a port that is no number
            usable = False
        if not usable or "@" in parts.netloc or parts.query or parts.fragment or re.search(r"[\s\x00-\x1f]", value):
            raise ValueError("must look like https://api.example.com/v1, without user, password or query")
        return value.rstrip("/")

    @field_validator("key")
    @classmethod
    def _key_fits_into_a_header(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]*", value.get_secret_value()):
            raise ValueError("must be ASCII without spaces or line ends")
        return value


def read_services(variables: Mapping[str, str] | None = None) -> dict[str, ApiService]:
    """Return the services by name, or stop the process with one line per bad variable. No value is repeated."""
    found: dict[str, dict[str, str]] = {}
    complaints = []
    for variable, value in sorted((os.environ if variables is None else variables).items()):
        if not variable.startswith(PREFIX):
            continue
        match = re.fullmatch(rf"{PREFIX}([A-Z0-9][A-Z0-9_]*?)_({'|'.join(ApiService.model_fields)})".upper(), variable)
        if match is None:
            known = ", ".join(name.upper() for name in ApiService.model_fields)
            complaints.append(f"{variable} is no setting of a service. {PREFIX}NAME_ goes on with one of {known}")
        elif value:  # empty is as good as left out
            found.setdefault(match[1], {})[match[2].lower()] = value
    services = {}
    for name, values in found.items():
        try:
            services[name.lower().replace("_", "-")] = ApiService.model_validate(values)
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                variable = f"{PREFIX}{name}_{str(problem['loc'][0]).upper()}"
                missing = problem["type"] == "missing"
                message = problem["msg"].removeprefix("Value error, ")
                complaints.append(
                    f"{variable} is not set; the service needs it" if missing else f"{variable}: {message}"
                )
    if complaints:
        sys.stderr.write("".join(f"{complaint}\n" for complaint in complaints))
        raise SystemExit(2)
    return services


def variable_of(name: str, field: str) -> str:
    """Return the name of the variable that sets a field of a service."""
    return f"{PREFIX}{name.upper().replace('-', '_')}_{field.upper()}"
