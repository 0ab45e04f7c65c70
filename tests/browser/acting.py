"""What people do on the ranking page, and what the database holds afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from easel.annotation.models import Annotation, Assignment
from playwright.sync_api import Locator, Page

T = TypeVar("T")


def rows(count: int, timeout: float = 8.0) -> list[Annotation]:
    """Wait until there are `count` annotations, oldest first; fail when there are more, now or half a second later."""
    found = until(lambda: stored() if len(stored()) >= count else [], timeout) if count else []
    time.sleep(0.5)  # a doubled request would show now
    found = stored()
    assert len(found) == count, f"{len(found)} annotations, not {count}"
    return found


def stored() -> list[Annotation]:
    """All annotations, oldest first."""
    return list(Annotation.objects.select_related("assignment").order_by("created_at"))


def until(look: Callable[[], T], timeout: float = 8.0) -> T:
    """Look until there is something."""
    end = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)


def letters(annotation: Annotation) -> list[str]:
    """The ranking in the letters that were shown: ["A", "CD", "B"]."""
    names = {str(pk): chr(65 + index) for index, pk in enumerate(annotation.assignment.shown_order)}
    return ["".join(sorted(names[one] for one in group)) for group in annotation.ranking]


def strip(page: Page) -> list[str]:
    """The places of the strip, as they are shown: ["A", "CD", "", "B"]."""
    return ["".join(sorted(slot.locator(".chip b").all_text_contents())) for slot in page.locator(".slot").all()]


def keys(page: Page, *names: str) -> None:
    """Press keys one after the other."""
    for name in names:
        page.keyboard.press(name)


def tile(page: Page, letter: str) -> Locator:
    """The image of a letter."""
    return page.locator(".tile-image").nth(ord(letter) - 65)


def chip(page: Page, letter: str) -> Locator:
    """The image of a letter, in the strip."""
    return page.locator(".chip", has=page.locator(f"b:text-is('{letter}')"))


def point(where: Locator, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
    """A point of an element, in fractions of its box."""
    box = where.bounding_box()
    assert box
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def drag(page: Page, source: Locator, target: Locator, x: float = 0.5, y: float = 0.5) -> None:
    """Drag with the mouse."""
    page.mouse.move(*point(source))
    page.mouse.down()
    page.mouse.move(*point(target, x, y), steps=8)
    page.mouse.up()


def drag_by_finger(page: Page, source: Locator, target: Locator, x: float = 0.5, y: float = 0.5) -> None:
    """Drag with one finger."""
    session = page.context.new_cdp_session(page)
    (x0, y0), (x1, y1) = point(source), point(target, x, y)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    touch("touchStart", (x0, y0))
    for step in range(1, 9):
        touch("touchMove", (x0 + (x1 - x0) * step / 8, y0 + (y1 - y0) * step / 8))
    for _ in range(3):  # a finger rests before it is lifted; a flick would scroll on, and swallow the next tap
        time.sleep(0.05)
        touch("touchMove", (x1, y1))
    touch("touchEnd")


def saved(page: Page) -> None:
    """Wait until the page says that the draft is saved."""
    page.wait_for_selector("#saved:has-text('Saved')", timeout=4_000)


def shown_assignment(page: Page) -> Assignment:
    """The assignment that the page shows, found by its first image."""
    first = page.locator(".tile").first.get_attribute("data-candidate")
    return next(one for one in Assignment.objects.all() if str(one.shown_order[0]) == first)
