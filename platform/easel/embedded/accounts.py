"""Users and folders: whom a server runs as, and which folders that user, and only we, can use."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from easel.embedded.errors import NotStartedError


@dataclass(frozen=True)
class Account:
    """The user that a server runs as, where that is not the caller."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Return the user to drop to: Postgres refuses to run as root. None: stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return Account(name, found.pw_uid, found.pw_gid)
    raise NotStartedError(
        "Postgres does not run as root, and there is no user postgres or nobody. Start Easel as an ordinary user."
    )


def may_enter(folder: Path, account: Account) -> bool:
    """Tell whether a user can traverse a folder and everything above it (folders still to be made are open to all)."""
    for part in (folder, *folder.parents):
        try:
            found = part.stat()
        except FileNotFoundError:
            continue
        if found.st_uid == account.uid:
            allowed = stat.S_IXUSR
        elif found.st_gid == account.gid:
            allowed = stat.S_IXGRP
        else:
            allowed = stat.S_IXOTH
        if not found.st_mode & allowed:
            return False
    return True


def own_folder(folder: Path) -> None:
    """Make a folder, or refuse one that another user has put in its place (the temp folder is everybody's)."""
    folder.mkdir(parents=True, exist_ok=True)
    refuse_foreign(folder, os.geteuid())


def refuse_foreign(folder: Path, owner: int) -> None:
    """Refuse a folder that does not belong to `owner`."""
    found = folder.stat().st_uid
    if found != owner:
        raise NotStartedError(
            f"{folder} belongs to user {_name(found)}, not to {_name(owner)}. "
            "Start Easel as the user that started it first, or set EASEL_HOME to another folder."
        )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
