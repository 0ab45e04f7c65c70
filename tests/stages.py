"""`./run test`: every check and every test, in order, with the seconds that each took.

With arguments, pytest alone runs, with these. It looks for a browser first and tells the tests in EASEL_CHROMIUM.
In CI (CI=true) a missing browser fails; elsewhere the tests that need one are left out, and the summary says so.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_TESTS = 5  # pytest's exit code when it ran none
LIMIT = 1_800  # seconds a stage
PYTEST = ["-m", "pytest"]
STAGES = {
    "format": ["-m", "ruff", "format", "--check", ".", "run"],
    "lint": ["-m", "ruff", "check", ".", "run"],
    "types": ["-m", "mypy"],
    "imports": ["-c", "import importlinter.cli as cli; cli.lint_imports_command()"],
    "migrations": ["-m", "tests.migrations"],
    "unit tests": [*PYTEST, "-n", "2", "-m", "not browser and not processes and not fuzz"],
    "fuzz tests": [*PYTEST, "-n", "2", "-m", "fuzz"],
    "browser tests": [*PYTEST, "-n", "2", "-m", "browser and not processes"],
    "process tests": [*PYTEST, "-m", "processes"],  # one after the other: each starts workers, servers and brokers
}


def main(arguments: list[str]) -> int:
    """Run every stage, or pytest with arguments; return the exit code."""
    os.chdir(REPOSITORY)
    browser = find_browser()
    if browser:
        os.environ["EASEL_CHROMIUM"] = browser
    elif os.environ.get("CI"):
        print("No browser: set CHROMIUM to a Chromium or Chrome, or install one. In CI that is a failure.")
        return 1
    if arguments:
        os.execv(sys.executable, [sys.executable, *PYTEST, *arguments])
    interrupted = []
    # Ctrl-C reaches the running stage by itself; it is given the time to stop its services.
    signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    results = []
    for name, command in STAGES.items():
        print(f"\n== {name}", flush=True)
        if not browser and name == "browser tests":
            continue
        if not browser and name == "process tests":
            command = [*PYTEST, "-m", "processes and not browser"]  # noqa: PLW2901
        began = time.monotonic()
        code = run(command)
        results.append((name, code, time.monotonic() - began))
        print(line_of(*results[-1]), flush=True)  # now, not only at the end: somebody may be waiting
        if code == NO_TESTS and "pytest" in command:
            print("pytest ran no test: that is a failure.")
        if interrupted:
            break
    print()
    for name, code, seconds in results:
        print(line_of(name, code, seconds))
    if not browser:
        print("No browser was found (set CHROMIUM): the browser tests were left out.")
    return 0 if all(code == 0 for _, code, _ in results) else 1


def run(command: list[str]) -> int:
    """Run a stage; return its exit code. One that hangs is ended: its processes say where they stand, and fail."""
    with subprocess.Popen([sys.executable, *command]) as stage:
        try:
            return stage.wait(LIMIT)
        except subprocess.TimeoutExpired:
            print(f"This stage takes more than {LIMIT // 60} minutes; it is ended. Where it stands:", flush=True)
            for one in psutil.Process(stage.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if one.name().startswith("python"):
                        one.send_signal(signal.SIGABRT)  # pytest's faulthandler prints what each thread does
            time.sleep(2)
            stage.kill()
            return 1


def line_of(name: str, code: int, seconds: float) -> str:
    """Return a line of the summary."""
    return f"{'ok    ' if code == 0 else 'FAILED'} {seconds:7.1f} s  {name}"


def find_browser() -> str | None:
    """Return a Chromium or Chrome: the one named, one on PATH, Playwright's own; else one installed now."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return on_path() or playwrights_own() or installed_by_apt() or installed_by_playwright()


def on_path() -> str | None:
    """Return a browser on PATH."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def playwrights_own() -> str | None:
    """Return the Chromium that Playwright has downloaded, if it has."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if path and Path(path).exists() else None


def installed_by_apt() -> str | None:
    """Install Debian's Chromium, as root only."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    print("Installing Chromium with apt ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "-qq", *command], env=quiet, stdout=subprocess.DEVNULL, check=False)
    return on_path()


def installed_by_playwright() -> str | None:
    """Let Playwright download its Chromium."""
    print("Asking Playwright for its Chromium ...", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], capture_output=True, check=False)
    return playwrights_own()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
