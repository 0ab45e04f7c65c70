"""What stops the embedded services from starting, in words for the person who typed the command."""

from __future__ import annotations

import errno
from pathlib import Path


class NotStartedError(Exception):
    """A service cannot start; the message is one line that says what to do."""


def explain(error: OSError) -> str:
    """Turn an error of the operating system into one line."""
    where = f" at {error.filename}" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk is full{where}. Free some space and start again; nothing was lost."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return (
            f"No permission to write{where}. Start Easel as the folder's owner, or set EASEL_HOME to a folder of yours."
        )
    return f"{error.strerror or error}{where}"


def explain_log(log: Path, text: str) -> str:
    """Say in one line why a server ended, from the end of its log."""
    if "No space left on device" in text:
        return f"The disk is full (seen in {log}). Free some space and start again; nothing was lost."
    lines = [line for line in text.splitlines() if line.strip()]
    told = next(
        (line for line in reversed(lines) if "FATAL" in line or "error" in line.lower()),
        lines[-1] if lines else "no output",
    )
    return f"{told.strip()} (see {log})"
