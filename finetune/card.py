"""The dataset card of a snapshot: what a stranger must know before training on it."""

from __future__ import annotations

import json
from typing import Any


def card(manifest: dict[str, Any]) -> str:
    """Write README.md from a snapshot's manifest; its head tells Hugging Face's `load_dataset` which file is what."""
    counts, names = manifest["counts"], ("rows", "prompts", "images", "judgements", "pairs")
    table = [
        f"| {split} | " + " | ".join(f"{counts[split][name]:,}" for name in names) + " |" for split in counts
    ]  # fmt: skip
    lines = [
        _head(manifest),
        f"# {_line(manifest['name'])}",
        "",
        "Preferences among generated images: each row is one prompt with its images, and what people answered who "
        "ranked them.",
        "",
        f"Content hash: `{manifest['sha256']}`, over the rows and the bytes of the images.",
        f"Frozen: {manifest['created_at'] or 'unknown'}. It never changes.",
        "",
        "## What is in it",
        "",
        "| split | rows | prompts | images | judgements | pairs |",
        "|---|---:|---:|---:|---:|---:|",
        *table,
        "",
        f"Split by prompt with the seed {manifest['split_seed']}: prompts that say nearly the same are together in one "
        "split.",
        "Prompts that are kept for evaluations are in none, nor are near duplicates of them.",
        "A pair is two images of a row of which one was put before the other by more than half.",
        "",
        *_list("Remarks", manifest["remarks"]),
        "## Who answered",
        "",
        _people(manifest),
        "Names are pseudonyms made for this snapshot alone: the same person has the same one in all of its rows, and "
        "another in every other snapshot.",
        "",
        _agreement(manifest),
        "",
        "## What was asked",
        "",
        f"Template: {_line(manifest['template']) or 'unknown'}.",
        "",
        "### Guidelines",
        "",
        *_quoted(manifest["guidelines"] or "None were given."),
        "",
        *_list("Filters", [f"{name}: {json.dumps(value)}" for name, value in manifest["filters"].items()]),
        "## Models that made the images, and their licences",
        "",
        *[f"- {_line(one['name'])}: {_line(one['licence']) or 'licence unknown'}" for one in manifest["models"]],
        "",
        "## How to read it",
        "",
        "    datasets.load_dataset(\"parquet\", data_files={\"train\": \"train.parquet\"})",
        "    finetune.snapshot.read(folder, \"train\")",
        "",
        "An image's file is `images/` + its `key`.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _head(manifest: dict[str, Any]) -> str:
    """YAML; its strings are JSON, which is YAML too. `load_dataset` stumbles over a split without rows."""
    filled = [split for split, counts in manifest["counts"].items() if counts["rows"]]
    files = "\n".join(f"      - split: {split}\n        path: {split}.parquet" for split in filled)
    name = json.dumps(manifest["name"])
    return f"---\npretty_name: {name}\nconfigs:\n  - config_name: default\n    data_files:\n{files}\n---\n"


def _line(text: str) -> str:
    """A text that others typed, on one line."""
    return " ".join(str(text).split())


def _quoted(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in text.splitlines()]


def _list(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {_line(line)}" for line in lines), ""] if lines else []


def _people(manifest: dict[str, Any]) -> str:
    simulated, judgements = manifest["simulated"], sum(one["judgements"] for one in manifest["counts"].values())
    who = f"{manifest['annotators']:,} annotator{'' if manifest['annotators'] == 1 else 's'}, {judgements:,} judgements"
    if simulated:
        return f"{who}, **{simulated:,} of them by simulated annotators**."
    return f"{who}, all by people."


def _agreement(manifest: dict[str, Any]) -> str:
    if manifest["agreement"] is None:
        return "Agreement: unknown, for no item was judged by two annotators."
    return (
        f"Agreement: {manifest['agreement']:.1%} of the {manifest['compared']:,} times that two annotators both ranked "
        "the same two images; a tie against an order counts half."
    )
