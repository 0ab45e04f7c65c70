"""The reference of the components, a page each, made of the components themselves: see docs/reference/components."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from easel.forms.components import BY_TYPE, FOLDER, BaseComponent, LayoutComponent
from easel.forms.components.base import AnswerContext
from easel.forms.palette import FIRST, LAST, palette

MADE = "<!-- Made of the components by `manage.py document_components`. Change those, not this page. -->"
LONGEST = 90
"""Characters of an example in a table."""
GROUPS = {
    "inputs": "Inputs",
    "generation": "Generation",
    "media": "Media",
    "judgement": "Judgement",
    "layout": "Layout",
}
KINDS = {
    "whole": "whole number",
    "number": "number",
    "flag": "yes or no",
    "text": "text",
    "long": "text",
    "name": "name",
    "choice": "one of a few words",
    "texts": "list of texts",
    "options": "list of options",
    "models": "list of model ids",
    "sizes": "list of [width, height]",
    "day": "day",
    "condition": "condition",
    "formerly": "list of names",
}

WORDS = {
    "label": "What annotators read above it.",
    "help": "A few more words for them.",
    "placeholder": "What it shows while it is empty.",
    "rows": "Lines that are in view.",
    "min": "The least that is taken.",
    "max": "The most that is taken.",
    "unit": "What it is counted in, shown beside it.",
    "step": "From one place to the next.",
    "levels": "How many there are to choose from.",
    "style": "How it is drawn.",
    "options": "What can be chosen.",
    "suggestions": "Tags that are offered.",
    "text": "Markdown.",
    "shape": "What can be drawn.",
}
"""Of properties whose names say it where they are set."""


def pages() -> dict[str, str]:
    """Return the text of every page by its file name; README.md is the index."""
    offered = {one["type"]: one for one in palette()["components"]}
    found = {f"{kind}.md": _page(kind, component, offered[kind]) for kind, component in BY_TYPE.items()}
    return {"README.md": _index(offered), **found}


def _index(offered: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "# Components",
        MADE,
        "A template is a list of components. These are all that there are; what each can be set to, which answers it "
        "takes and which columns it has in exports stands on its page.",
    ]
    for group, title in GROUPS.items():
        rows = [
            (f"[{one['title']}]({kind}.md)", f"`{kind}`", one["words"])
            for kind, one in offered.items()
            if one["group"] == group
        ]
        lines += [f"## {title}", _table(("component", "type", "what it is"), rows)]
    shared = [one for one in offered["input"]["properties"] if one["name"] in FIRST + LAST]
    lines += [
        "## Properties of all components",
        _properties(shared),
        'A condition is `{"name": ..., "op": ..., "value": ...}`: it looks at the answer of a component that stands '
        "before, and `op` is one of "
        + ", ".join(f"`{op}` ({words})" for op, words in palette()["comparisons"].items())
        + ". The last two take no value.",
        'An option is `{"value": ..., "label": ...}`: what answers and exports say, and what people read.',
    ]
    return _text(lines)


def _page(kind: str, component: type[BaseComponent], offered: Mapping[str, Any]) -> str:
    examples = json.loads((FOLDER / kind / "examples.json").read_text(encoding="utf-8"))
    one = component.model_validate(examples["definition"])
    own = [found for found in offered["properties"] if found["name"] not in FIRST + LAST]
    lines = [
        f"# {offered['title']}",
        MADE,
        f"`{kind}`, one of the [components](README.md) for {GROUPS[component.group].lower()}.",
        inspect.getdoc(component) or "",
        "## Example",
        f"```json\n{json.dumps(examples['definition'], indent=2, ensure_ascii=False)}\n```",
        "## Properties",
    ]
    holds = issubclass(component, LayoutComponent)
    if holds:
        lines.append("`components` holds the components inside it, one or more.")
    lines.append(_properties(own) if own else "" if holds else "It has none of its own.")
    lines.append("Every component has [these](README.md#properties-of-all-components) as well.")
    lines += list(_answer(component, one, examples))
    if keys := examples.get("keys"):
        lines += ["## Keys", _table(("key", "what it does"), [(f"`{key}`", words) for key, words in keys])]
    return _text(lines)


def _answer(component: type[BaseComponent], one: BaseComponent, examples: Mapping[str, Any]) -> Iterator[str]:
    if not component.answers:
        yield "## Answer"
        asks = component.ask is not BaseComponent.ask
        live = f" In a live form it is filled in for an attempt. {_takes(component.ask)}" if asks else ""
        yield f"It takes none.{live}"
        return
    yield "## Answer"
    yield _takes(component.check)
    if examples["taken"]:
        rows = [(_code(given), _code(stored)) for given, stored in examples["taken"]]
        yield _table(("taken", "stored as"), rows)
    if refused := [(given, message) for given, message in examples["refused"] if given is not None]:
        yield _table(("refused", "because it"), [(_code(given), message) for given, message in refused])
    if component.orders:
        yield _orders(one, examples)
    yield "## Export columns"
    yield _columns(one, examples)


def _orders(one: BaseComponent, examples: Mapping[str, Any]) -> str:
    said = "It says which images are better than which: the `ranking` of an annotation is read off it."
    if not examples["taken"]:
        return said
    _, stored = examples["taken"][0]
    images = frozenset(examples.get("candidates", ("c1", "c2", "c3", "c4")))
    order = one.order(stored, AnswerContext(images, {}))
    return f"{said} {_code(stored)} gives {_code(order)}."


def _columns(one: BaseComponent, examples: Mapping[str, Any]) -> str:
    if not examples["taken"]:
        return ", ".join(f"`{column}`" for column in one.columns())
    cells = one.cells(examples["taken"][0][1])
    return _table(
        ("column", "for example"),
        [(f"`{name}`", f"`{cells.get(name, '')}`".replace("``", "")) for name in one.columns()],
    )


def _properties(properties: Iterable[Mapping[str, Any]]) -> str:
    rows = [(f"`{one['name']}`", _kind(one), _default(one), _words(one)) for one in properties]
    return _table(("property", "takes", "default", "what it is"), rows)


def _words(one: Mapping[str, Any]) -> str:
    """What a property is: as the builder says it, else as the components say it, else as this page does."""
    name = one["name"]
    shared = BaseComponent.model_fields.get(name)
    return one["help"] or (shared.description if shared else "") or WORDS[name]


def _kind(one: Mapping[str, Any]) -> str:
    if choices := one.get("choices"):
        return " or ".join(f"`{choice}`" for choice in choices)
    words = KINDS.get(one["control"], "JSON")
    least, most = one.get("least"), one.get("most")
    if least is not None and most is not None:
        words += f", {least:,g} to {most:,g}"
    elif least is not None or most is not None:
        words += f", at least {least:,g}" if most is None else f", at most {most:,g}"
    if longest := one.get("longest"):
        words += f", at most {longest:,} characters" + (" each" if one["control"] == "texts" else "")
    if entries := one.get("entries"):
        words += f", at most {entries:,}"
    return words


def _default(one: Mapping[str, Any]) -> str:
    if one["needed"]:
        return "needed"
    value = one.get("default")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, "", [], ()) else _code(value)


def _code(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}`"


def _takes(check: Callable[..., Any]) -> str:
    return (inspect.getdoc(check) or "").replace("Take ", "It takes ", 1)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _text(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
