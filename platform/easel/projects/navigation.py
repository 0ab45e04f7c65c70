"""The pages of a project, as its navigation names them: sections along the loop, and the pages of each. One table.

A new page joins the section that it belongs to; addresses below it (`also`) light up the same entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from easel.accounts.roles import ALLOWED, Act


@dataclass(frozen=True)
class Entry:
    """A page that the navigation leads to."""

    label: str
    url: str
    """The name of its address, which takes the project."""
    act: Act
    """Who may do this sees it."""
    also: tuple[str, ...] = ()
    """Names of addresses that belong to it."""
    state: str = ""
    """`page`: it is shown now; `true`: a page that belongs to it is."""


@dataclass(frozen=True)
class Section:
    """Pages that belong together; one of them is the one that its own link leads to."""

    label: str
    entries: tuple[Entry, ...]

    @property
    def first(self) -> Entry:
        """Where its link leads."""
        return self.entries[0]

    @property
    def state(self) -> str:
        """As that of an entry: `page` only where it has no other pages."""
        shown = next((one.state for one in self.entries if one.state), "")
        return shown if len(self.entries) == 1 or not shown else "true"


def _alone(label: str, url: str, act: Act, *also: str) -> Section:
    return Section(label, (Entry(label, url, act, also),))


SECTIONS = (
    _alone("Overview", "overview", Act.INSPECT),
    _alone("Rank", "rank", Act.RANK),
    _alone("Your work", "own_page", Act.RANK),
    Section(
        "Prepare",
        (
            Entry(
                "Templates",
                "templates",
                Act.INSPECT,
                ("new_template", "template", "publish_template", "build_template"),
            ),
            Entry("Prompts", "prompts", Act.INSPECT, ("new_import", "prompt_import", "pictures")),
            Entry("Generate", "generations", Act.INSPECT),
            Entry("Images", "gallery", Act.INSPECT, ("side_by_side", "new_image_import", "image_import")),
        ),
    ),
    Section(
        "Rankings",
        (
            Entry("Annotations", "annotations", Act.INSPECT, ("item",)),
            Entry("Curate", "curate", Act.INSPECT, ("curated_item", "bulk_acts")),
            Entry("Review", "review", Act.REVIEW, ("review_list", "adjudication", "fix_annotation", "rank_anew")),
            Entry("Quality", "quality", Act.INSPECT, ("quality_person",)),
            Entry("Gold", "gold", Act.MANAGE, ("new_gold", "gold_unanimous", "gold_automatic", "gold_training")),
        ),
    ),
    Section(
        "Models",
        (
            Entry("Snapshots", "snapshots", Act.INSPECT, ("snapshot", "new_snapshot")),
            Entry("Fine-tune", "finetunes", Act.INSPECT, ("finetune",)),
            Entry(
                "Evaluate", "evaluations", Act.INSPECT, ("evaluation", "new_evaluation", "leaderboard", "simulations")
            ),
            Entry("Export", "export", Act.EXPORT),
        ),
    ),
    _alone("People", "people", Act.MANAGE, "member"),
    _alone("Settings", "project_settings", Act.MANAGE),
)


def sections_for(role: str, at: str) -> list[Section]:
    """Return the sections that a role sees, with their pages; `at` is the name of the address that is shown."""
    found = []
    for section in SECTIONS:
        entries = tuple(
            replace(entry, state="page" if at == entry.url else "true" if at in entry.also else "")
            for entry in section.entries
            if entry.act in ALLOWED[role]
        )
        if entries:
            found.append(Section(section.label, entries))
    return found
