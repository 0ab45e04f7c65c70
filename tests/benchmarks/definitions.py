"""How long the server takes to say what is wrong with a template definition, for the worst that fit the size limit.

    python -m tests.benchmarks.definitions --json definitions.json

The floor is `json.loads` of the same text: what any server pays before it can look at it. Each is done several
times, in turn; the worst median counts (goal: 200 ms).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from easel.forms.reading import MAX_BYTES, problems_of

GOAL_MS = 200
GRID: dict[str, Any] = {"type": "image_grid", "name": "images"}


def worst() -> dict[str, Any]:
    """Definitions of up to 256 kB that are dear to look at."""
    option = {"value": "a", "label": "x" * 200}
    group: dict[str, Any] = {"type": "input", "name": "inner", "label": 7}
    for depth in range(8):
        group = {"type": "group", "name": f"g{depth}", "components": [group] * 2}
    waits = [
        {
            "type": "input",
            "name": f"n{number}",
            "visible_if": {"name": f"n{(number + 1) % 100}", "op": "answered"},
            "required_if": {"name": f"n{(number + 50) % 100}", "op": "answered"},
        }
        for number in range(100)
    ]
    return {
        "100 components, all in one loop of conditions": {"components": waits},
        "100 components of one name": {"components": [{"type": "input", "name": "a"}] * 100},
        "100 selects of 50 options, one name": {
            "components": [{"type": "select", "name": "a", "options": [option]}] * 100
        },
        "1,000 unknown components": {"components": [{"type": "x", "name": "a"}] * 1_000},
        "eight layers of groups, doubled": {"components": [group]},
        "20,000 unknown properties": {"components": [{**GRID, **{f"p{number}": 1 for number in range(20_000)}}]},
        "20,000 unknown properties of the form": {
            "components": [GRID],
            **{f"p{number}": 1 for number in range(20_000)},
        },
        "one text of 250 kB": {"components": [{"type": "markdown", "name": "m", "text": "a" * 250_000}]},
        "60,000 numbers in place of components": {"components": list(range(60_000))},
        "5,000 options": {"components": [{"type": "radio", "name": "r", "options": [option] * 1_000}]},
        "100 valid rankings": {"components": [GRID, *({"type": "ranking", "name": f"r{n}"} for n in range(99))]},
        "a list in a list, 100,000 deep": {"components": _deep(100_000)},
    }


def _deep(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def main() -> int:
    """Measure, print, and return 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    slowest = 0.0
    sys.stdout.write(f"{'definition':50} {'size':>9} {'ours':>9} {'json.loads':>11} {'problems':>9}\n")
    for name, definition in worst().items():
        try:
            text = json.dumps(definition)
        except RecursionError:
            text = ""
        ours: list[float] = []
        floor: list[float] = []
        for _ in range(options.rounds):
            started = time.perf_counter()
            problems = problems_of(definition)
            ours.append(1_000 * (time.perf_counter() - started))
            if text:
                started = time.perf_counter()
                json.loads(text)
                floor.append(1_000 * (time.perf_counter() - started))
        median, least = statistics.median(ours), statistics.median(floor) if floor else None
        found[name] = {"ms": median, "floor_ms": least, "problems": len(problems)}
        slowest = max(slowest, median)
        size = f"{len(text) / 1024:.0f} kB" if text else "-"
        beside = f"{least:.2f} ms" if least is not None else "-"
        sys.stdout.write(f"{name:50} {size:>9} {median:>6.2f} ms {beside:>11} {len(problems):>9}\n")
    sys.stdout.write(f"slowest median {slowest:.1f} ms of {GOAL_MS} ms; up to {MAX_BYTES // 1024} kB are looked at\n")
    if options.json:
        options.json.write_text(json.dumps({"slowest_ms": slowest, "goal_ms": GOAL_MS, **found}, indent=2) + "\n")
    return int(slowest > GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())
