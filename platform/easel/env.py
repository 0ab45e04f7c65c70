"""The environment, typed, read once. A bad value stops start-up with one clear line."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY = Path(__file__).resolve().parents[2]
# A unix socket's path may hold 107 bytes on Linux; Postgres adds "/.s.PGSQL.5432.lock" to the directory.
LONGEST_SOCKET_DIRECTORY = 85
# Their values hold passwords and keys: a complaint about one does not repeat it.
_SECRET = {"DATABASE_URL", "BROKER_URL", "STORAGE_URL", "EASEL_SECRET_KEY"}


class Environment(BaseSettings):
    """What the operator sets: EASEL_ and the field's name in upper case, unless the field names its variable."""

    model_config = SettingsConfigDict(env_prefix="EASEL_", frozen=True, populate_by_name=True)

    home: Path = Field(
        default=REPOSITORY / ".easel", description="Folder of everything that the embedded services keep."
    )
    database_url: str = Field(
        default="",
        validation_alias="DATABASE_URL",
        description="postgresql://user:password@host:5432/name; empty: embedded.",
    )
    broker_url: str = Field(
        default="",
        validation_alias="BROKER_URL",
        description="redis:// or amqp:// URL of the Celery broker; empty: embedded.",
    )
    storage_url: str = Field(
        default="",
        validation_alias="STORAGE_URL",
        description="fsspec URL of the image storage; empty: a folder in home.",
    )
    secret_key: str = Field(
        default="", description="Signs sessions; at least 32 characters. Empty: made once, kept in home."
    )
    allowed_hosts: str = Field(default="localhost,127.0.0.1,[::1]", description="Host names, separated by commas.")
    public_url: str = Field(default="", description="The address that people type; https turns secure cookies on.")
    media_accel: str = Field(default="", description="Internal nginx location for X-Accel-Redirect, as /protected/.")
    debug: bool = Field(default=False, description="Django's debug pages; never on a shared machine.")
    lease_seconds: int = Field(
        default=600, ge=1, le=86_400, description="How long an assignment is leased without a heartbeat."
    )
    job_lease_seconds: int = Field(
        default=30, ge=1, le=3_600, description="How long a worker may be silent before its job goes on."
    )
    chunk_images: int = Field(default=16, ge=1, le=1_000, description="Images that one render job makes.")

    @field_validator("home")
    @classmethod
    def _home_is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _database_is_postgres(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"postgresql", "postgres"}:
            raise ValueError("must look like postgresql://user:password@host:5432/name")
        try:
            conninfo_to_dict(value)
        except ProgrammingError as error:
            raise ValueError(" ".join(str(error).split())) from error
        return value

    @field_validator("broker_url")
    @classmethod
    def _broker_is_known(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"redis", "rediss", "redis+socket", "amqp", "amqps"}:
            raise ValueError("must start with redis://, rediss://, redis+socket://, amqp:// or amqps://")
        return value

    @field_validator("secret_key")
    @classmethod
    def _secret_is_long(cls, value: str) -> str:
        if value and len(value) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @cached_property
    def sockets(self) -> Path:
        """Folder of the embedded services' unix sockets: computable before any server runs."""
        inside = self.home / "sockets"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIRECTORY:
            return inside
        return Path(tempfile.gettempdir()) / f"easel-{sha256(os.fsencode(self.home)).hexdigest()[:16]}"

    @cached_property
    def database(self) -> str:
        """The database to connect to: the operator's, else the embedded one."""
        if self.database_url:
            return self.database_url
        password, host = self.embedded_secrets["database_password"], quote(str(self.sockets), safe="")
        return f"postgresql://easel:{password}@/easel?host={host}"

    @cached_property
    def broker(self) -> str:
        """The Celery broker: the operator's, else the embedded Valkey."""
        return self.broker_url or f"redis+socket://{self.sockets}/valkey.sock"

    @cached_property
    def result_backend(self) -> str:
        """Where a worker's claim is answered: the broker itself (RabbitMQ answers through its own rpc://)."""
        return "rpc://" if urlsplit(self.broker).scheme.startswith("amqp") else self.broker

    @cached_property
    def storage(self) -> str:
        """Where images are kept: the operator's URL, else a folder in home."""
        return self.storage_url or (self.home / "storage").as_uri()

    @cached_property
    def signing_key(self) -> str:
        """Django's SECRET_KEY: the operator's, else one of this installation's own."""
        return self.secret_key or self.embedded_secrets["secret_key"]

    @cached_property
    def embedded_secrets(self) -> dict[str, str]:
        """Secrets of the embedded installation, made at first use and readable by their owner only."""
        path = self.home / "secrets.json"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            made = {"secret_key": secrets.token_urlsafe(48), "database_password": secrets.token_urlsafe(24)}
            handle, temporary = tempfile.mkstemp(dir=self.home)  # mode 0600
            with os.fdopen(handle, "w") as file:
                json.dump(made, file)
            try:
                os.link(temporary, path)  # fails where another process was first: then its secrets count
            except FileExistsError:
                pass
            finally:
                Path(temporary).unlink()
        found: dict[str, str] = json.loads(path.read_text())
        return found


def read_environment() -> Environment:
    """Read the environment, or stop the process with one line per bad variable."""
    try:
        return Environment()
    except ValidationError as error:
        for problem in error.errors():
            name = str(problem["loc"][0])
            variable = name if name.isupper() else f"EASEL_{name.upper()}"
            given = "" if variable in _SECRET else f" (got {problem['input']!r})"
            sys.stderr.write(f"{variable}: {problem['msg'].removeprefix('Value error, ')}{given}\n")
        raise SystemExit(2) from None


environment = read_environment()
