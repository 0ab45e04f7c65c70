"""The builder's state alone: every act on the form, and that undo takes each of them back. Modules without a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from easel.forms.palette import palette
from playwright.sync_api import Page

from tests.browser.conftest import Window

PUBLISHED = {"kind": "radio", "why": "textarea"}
START = {
    "schema_version": 1,
    "components": [
        {"type": "image_grid", "name": "images", "count": 4},
        {"type": "radio", "name": "kind", "options": [{"value": "a"}, {"value": "b"}]},
        {
            "type": "group",
            "name": "more",
            "components": [
                {"type": "textarea", "name": "why", "visible_if": {"name": "kind", "op": "is", "value": "a"}},
                {"type": "input", "name": "title", "required_if": {"name": "why", "op": "answered"}},
            ],
        },
        {"type": "tabs", "name": "parts", "components": [{"type": "group", "name": "one", "components": []}]},
    ],
}


@pytest.fixture
def page(window: Callable[..., Window]) -> Page:
    """A page of the site, so that its modules can be imported."""
    return window(None).open("/sign-in/", wait=False)


def run(page: Page, body: str) -> Any:
    """Run a script that has a form of START, and short ways to look at it."""
    script = """async ([palette, start, published]) => {
      const { FormState, same } = await import('/static/easel/build/state.js');
      const tree = await import('/static/easel/build/tree.js');
      const exchange = await import('/static/easel/build/exchange.js');
      const fresh = (definition = start) => new FormState(palette, definition, published);
      const state = fresh();
      const id = (name) => state.all.find((one) => one.node.data.name === name).node.id;
      const of = (name) => state.find(id(name)).node.data;
      const shape = (parts = state.definition.components) =>
        parts.map((one) => (one.components ? [one.name, shape(one.components)] : one.name));
      const refused = (act) => { try { act(); return ''; } catch (error) { return error.message; } };
      BODY
    }"""
    return page.evaluate(script.replace("BODY", body), [palette(), START, PUBLISHED])


BEGIN = ["images", "kind", ["more", ["why", "title"]], ["parts", [["one", []]]]]
ACTS: list[tuple[str, list[Any]]] = [
    ("state.add('date')", [*BEGIN, "taken_on"]),
    ("state.choose(id('images')); state.add('date')", ["images", "taken_on", *BEGIN[1:]]),
    ("state.choose(id('why')); state.add('date')", [*BEGIN[:2], ["more", ["why", "taken_on", "title"]], BEGIN[3]]),
    ("state.choose(id('more')); state.add('date')", [*BEGIN[:2], ["more", ["why", "title", "taken_on"]], BEGIN[3]]),
    ("state.choose(id('parts')); state.add('date')", [*BEGIN[:3], ["parts", [["one", ["taken_on"]]]]]),
    (
        "state.choose(id('parts')); state.add('group')",
        [*BEGIN[:3], ["parts", [["one", []], ["details", ["inner"]]]]],
    ),
    ("state.add('image_grid')", [*BEGIN, "images_2"]),
    ("state.nudge(id('kind'), 'up')", ["kind", "images", *BEGIN[2:]]),
    ("state.nudge(id('images'), 'up')", BEGIN),
    ("state.nudge(id('kind'), 'in')", ["images", ["more", ["kind", "why", "title"]], BEGIN[3]]),
    ("state.nudge(id('title'), 'out')", [*BEGIN[:2], ["more", ["why"]], "title", BEGIN[3]]),
    ("state.nudge(id('why'), 'down')", [*BEGIN[:2], ["more", ["title", "why"]], BEGIN[3]]),
    ("state.move(id('images'), { parent: 0, index: 4 })", [*BEGIN[1:], "images"]),
    (
        "state.move(id('why'), { parent: id('one'), index: 0 })",
        [*BEGIN[:2], ["more", ["title"]], ["parts", [["one", ["why"]]]]],
    ),
    ("state.remove(id('more'))", [*BEGIN[:2], BEGIN[3]]),
    ("state.duplicate(id('more'))", [*BEGIN[:3], ["more_2", ["why_2", "title_2"]], BEGIN[3]]),
]  # fmt: skip


def test_acts_and_taking_them_back(page: Page) -> None:
    for act, wanted in ACTS:
        told = run(page, f"{act}; const done = shape(); state.undo(); const back = shape(); state.redo();"
                         " return [done, back, shape()]")  # fmt: skip
        assert told == [wanted, BEGIN, wanted], act


def test_what_cannot_be_is_refused_in_words(page: Page) -> None:
    for act, words in [
        ("state.move(id('more'), { parent: id('more'), index: 0 })", "into itself"),
        ("state.move(id('images'), { parent: id('parts'), index: 0 })", "Tabs hold groups only"),
        ("state.move(id('images'), { parent: id('kind'), index: 0 })", "holds no components"),
        ("state.rename(id('images'), 'Kind!')", "small letters, digits and _"),
        ("state.rename(id('images'), 'kind')", "Another component is named kind"),
        ("state.add('nonsense')", "no component nonsense"),
        ("for (let n = 0; n < 200; n += 1) state.add('divider')", "at most 100 components"),
        (
            "for (let n = 0; n < 9; n += 1) state.add('group', { parent: state.chosen ?? 0, index: 0 })",
            "8 deep at most",
        ),
        ("state.replace({ components: [1] })", "is no object"),
        ("state.replace({ components: 'x' })", "no list of components"),
        ("exchange.definitionIn('{', 1000)", "no JSON"),
        ("exchange.definitionIn('[1]', 1000)", "no form"),
        ("exchange.definitionIn(' ', 1000)", "nothing to import"),
    ]:
        assert words in run(page, f"return refused(() => {{ {act} }})"), act


def test_conditions_follow_a_renamed_component_and_kept_answers_stay_its_own(page: Page) -> None:
    told = run(
        page,
        """
        const keeps = [state.rename(id('kind'), 'sort'), state.rename(id('title'), 'heading')];
        return [keeps, of('sort').formerly, of('heading').formerly ?? null, of('why').visible_if];
        """,
    )
    assert told == [[True, False], ["kind"], None, {"name": "sort", "op": "is", "value": "a"}]
    back = run(
        page, "state.rename(id('kind'), 'sort'); state.rename(id('sort'), 'kind'); return of('kind').formerly ?? null"
    )
    assert back is None
    twice = run(page, "state.rename(id('kind'), 'b'); state.rename(id('b'), 'c'); return of('c').formerly")
    assert twice == ["kind"], "names that nobody answered under are not kept"
    other = run(
        page,
        """
        state.remove(id('kind'));
        state.rename(state.add('date'), 'kind');
        state.rename(id('kind'), 'day');
        return of('day').formerly ?? null;
        """,
    )
    assert other is None, "another component that took the name has none of its answers"


def test_a_copy_looks_at_its_own_parts_and_has_no_past(page: Page) -> None:
    told = run(
        page,
        """
        state.rename(id('why'), 'reason');
        state.duplicate(id('more'));
        return [of('reason_2').visible_if.name, of('title_2').required_if.name, of('reason').formerly,
          of('reason_2').formerly ?? null];
        """,
    )
    assert told == ["kind", "reason_2", ["why"], None]


def test_typing_in_one_field_is_one_step(page: Page) -> None:
    told = run(
        page,
        """
        for (const label of ['K', 'Ki', 'Kind']) state.set(id('kind'), 'label', label, 'typing');
        for (const help of ['H', 'He']) state.set(id('kind'), 'help', help, 'typing');
        state.seal();
        state.set(id('kind'), 'help', 'Hel', 'typing');
        const seen = [];
        while (state.canUndo) { state.undo(); seen.push([of('kind').label ?? '', of('kind').help ?? '']); }
        return seen;
        """,
    )
    assert told == [["Kind", "He"], ["Kind", ""], ["", ""]]


def test_a_value_that_goes_without_saying_is_not_written(page: Page) -> None:
    told = run(
        page,
        """
        state.set(id('images'), 'count', 9);
        state.set(id('images'), 'count', 4);
        state.set(id('images'), 'label', '');
        return [of('images'), state.set(id('images'), 'label', '') ?? null];
        """,
    )
    assert told == [{"type": "image_grid", "name": "images"}, None]


def test_a_definition_comes_out_as_it_went_in(page: Page) -> None:
    assert run(page, "return state.definition") == START
    strange = {
        "schema_version": 1,
        "extra": True,
        "components": [{"type": "zebra", "name": "a", "stripes": [1]}, {"name": "a"}],
    }
    assert run(page, f"return fresh({json.dumps(strange)}).definition") == strange


def test_a_place_names_its_component(page: Page) -> None:
    told = run(
        page,
        """
        return [
          'components.2.components.0.visible_if', 'components.1.options.0.value',
          'components.9.x', '', 'schema_version',
        ].map((place) => {
          const { node, rest } = tree.resolve(state.root, place);
          return [node.data.name ?? '', rest.join('.')];
        });
        """,
    )
    whole = [["", "components.9.x"], ["", ""], ["", "schema_version"]]
    assert told == [["why", "visible_if"], ["kind", "options.0.value"], *whole]


def test_free_names(page: Page) -> None:
    told = run(
        page,
        """
        const taken = new Set(['a', 'a_2', 'x'.repeat(40)]);
        return ['a', 'a_2', 'b', 'B!', 'x'.repeat(40)].map((name) => tree.freeName(name, taken));
        """,
    )
    assert told == ["a_3", "a_3", "b", "component", "x" * 38 + "_2"]


def test_random_acts_keep_the_form_whole_and_undo_walks_back(page: Page) -> None:
    broken = run(
        page,
        """
        let seed = 11;
        const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
        const pick = (list) => list[random(list.length)];
        const types = [...state.offers.keys()];
        const broken = [];
        let done = 0;
        for (let game = 0; game < 60; game += 1) {
          const form = fresh(random(2) ? start : { schema_version: 1, components: [] });
          const look = () => JSON.stringify([form.definition, form.chosen]);
          const history = [look()];
          let steps = 0;
          form.addEventListener('change', ({ detail }) => { steps += detail === 'form'; });
          for (let step = 0; step < 40; step += 1) {
            const ids = form.all.map((one) => one.node.id);
            const holders = [0, ...form.all.filter((one) => one.node.children).map((one) => one.node.id)];
            const one = pick(ids);
            const before = [look(), JSON.stringify(form.definition)];
            const looked = random(3) && ids.length ? pick(form.all).node.data.name : '';
            const condition = looked ? { name: looked, op: 'answered' } : undefined;
            const parent = pick(holders);
            const index = random(form.find(parent).node.children.length + 1);
            const acts = {
              add: () => form.add(pick(types), random(2) ? null : { parent, index }),
              choose: () => form.choose(random(5) ? (one ?? null) : null),
              remove: () => one && form.remove(one),
              duplicate: () => one && form.duplicate(one),
              move: () => one && form.move(one, { parent, index }),
              nudge: () => one && form.nudge(one, pick(['up', 'down', 'in', 'out'])),
              label: () => one && form.set(one, 'label', pick(['', 'One', 'Two'])),
              look: () => one && form.set(one, 'visible_if', condition),
              rename: () => one && form.rename(one, pick(['kind', 'why', 'a', 'b', 'c', 'd_2', 'Wrong'])),
            };
            const name = pick(Object.keys(acts));
            const count = steps;
            const wrong = (words) => broken.push(`${name} ${words}`);
            try {
              acts[name]();
            } catch (error) {
              if (!(error instanceof tree.Refused)) { wrong(error.stack); break; }
              if (look() !== before[0]) wrong('was refused and did something');
            }
            if ((steps > count) !== (JSON.stringify(form.definition) !== before[1])) wrong(`told ${steps - count}`);
            if (steps > count) {
              history[history.length - 1] = before[0]; // what was chosen since the last act
              history.push(look());
              done += 1;
            }
            const names = form.all.map((part) => part.node.data.name);
            const past = form.all.flatMap((part) => part.node.data.formerly ?? []);
            if (new Set([...names, ...past]).size !== names.length + past.length) wrong(`doubled: ${names} ${past}`);
            if (!names.every((part) => tree.isName(part))) wrong(`made a wrong name: ${names}`);
            if (names.length > 100) wrong('made too many');
            if (form.all.some((part) => part.depth + tree.height(part.node) > 8)) wrong('went too deep');
            const inTabs = form.all.filter((part) => part.parent.data.type === 'tabs');
            if (inTabs.some((part) => part.node.data.type !== 'group')) wrong('put no group into tabs');
            if (form.chosen !== null && !form.node) wrong('chose what is not there');
          }
          const last = JSON.stringify(form.definition);
          for (const before of history.toReversed().slice(1)) {
            if (!form.undo()) broken.push('undo ended early');
            if (look() !== before) broken.push(`undo went astray: ${look()} is not ${before}`);
          }
          if (form.undo()) broken.push('undo went too far');
          while (form.redo());
          if (JSON.stringify(form.definition) !== last) broken.push('redo went astray');
          if (broken.length > 5) break;
        }
        return [broken.slice(0, 5), done];
        """,
    )
    assert broken[0] == []
    assert broken[1] > 500
