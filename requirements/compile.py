#!/usr/bin/env python3
"""Make the locks of this folder anew: `.venv/bin/python requirements/compile.py [--upgrade]`.

Every file pins each package with the hashes of all its wheels, for Linux and macOS and Python 3.11 and 3.12:

    install.txt   what installs the rest: uv, and the build backend of this project
    lock.txt      everything, tests included
    up.txt        what `./run up` needs       web.txt, ml.txt   what docker/ needs

torch is not in them, nor are the CUDA packages that its CUDA build asks for: the builds for CPU and CUDA share one
version but no hash. pyproject.toml pins its version, and `./run` installs it after the rest.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LOCKS = {
    "lock.txt": ["embedded", "ml", "dev"],
    "up.txt": ["embedded", "ml"],
    "ml.txt": ["ml"],
    "web.txt": [],
}
INSTALLERS = "uv\nhatchling>=1.27\neditables\n"
UNLOCKED = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
HEADER = """\
# {purpose}
# Made by: .venv/bin/python requirements/compile.py     (see there for what is left out, and why)
"""


def main() -> int:
    """Compile every lock."""
    parser = argparse.ArgumentParser(description="Make the locks of this folder anew.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions, not those already locked")
    arguments = parser.parse_args()
    upgrade = ["--upgrade"] if arguments.upgrade else []
    write("install.txt", "What installs the rest", compiled("install.txt", ["-"], upgrade, INSTALLERS))
    for name, extras in LOCKS.items():
        options = [part for extra in extras for part in ("--extra", extra)]
        same = [] if name == "lock.txt" else ["--constraint", str(FOLDER / "lock.txt")]
        text = compiled(name, [str(FOLDER.parent / "pyproject.toml")], [*options, *same, *upgrade])
        write(name, f"easel[{','.join(extras)}]" if extras else "easel without extras", text)
    return 0


def compiled(name: str, sources: list[str], options: list[str], given: str | None = None) -> str:
    """Return what uv resolves, one block of lines per package. Without --upgrade it prefers what the file holds now."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *sources, *options, "--output-file", str(FOLDER / name)]
    quiet = ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    command += ["--generate-hashes", "--universal", "--python-version", "3.11", *quiet]
    done = subprocess.run(command, input=given, text=True, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"uv could not resolve {name}; what it said stands above")
    return (FOLDER / name).read_text()


def write(name: str, purpose: str, text: str) -> None:
    """Write a lock without the packages that differ between machines."""
    blocks = re.split(r"\n(?=\S)", text.strip())
    kept = [block for block in blocks if not UNLOCKED.match(block) and not block.startswith("#")]
    (FOLDER / name).write_text(HEADER.format(purpose=purpose) + "\n".join(kept) + "\n")
    print(f"requirements/{name}: {len(kept)} packages")


if __name__ == "__main__":
    sys.exit(main())
