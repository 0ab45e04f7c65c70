"""What a live form does between Generate and the ranking: the module alone in a browser, then with the true API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.images.models import GenerationRequest
from easel.images.services import record_images
from easel.projects.models import Project
from playwright.sync_api import Page

from generation.types import RenderedImages
from tests import cast as stage
from tests import live
from tests.browser.acting import until
from tests.browser.conftest import Window
from tests.cast import Cast

# A server that is played: `script` holds its answers, the last one for ever; `log` is what the desk said.
STAGE = """
  const { LiveDesk } = await import('/static/easel/live/desk.js');
  const { Unreachable } = await import('/static/easel/rank/api.js');
  const image = (id) => ({ id, url: '/' + id, width: 64, height: 64 });
  const told = (state, done, more = {}) => ({
    id: more.id ?? 'one', state, error: null, outcome: 'waiting', assignment: null,
    progress: { done, total: 4, step: 3, steps: 8, note: '' }, values: { prompt: 'x' },
    candidates: [...'abcd'].slice(0, done).map(image), ...more });
  const ready = told('done', 4, { outcome: 'open', assignment: { id: 'lease' } });
  const answer = (body, status = 200) => ({ status, body });
  let script = [];
  const asked = [];
  const api = { async send(method, path, body) {
    asked.push([method, path, body]);
    const next = script.length > 1 ? script.shift() : script[0];
    if (next === 'away') throw new Unreachable('away');
    return typeof next === 'function' ? next() : next;
  } };
  const desk = new LiveDesk({ api, project: 'p' });
  const log = [];
  for (const name of ['progress', 'images', 'assignment', 'problem', 'trouble'])
    desk.addEventListener(name, ({ detail: { state, length, id, code, detail } }) =>
      log.push([name, state ?? length ?? id ?? code ?? detail]));
  const said = (name) => log.filter(([one]) => one === name).map(([, what]) => what);
  const pause = (ms) => new Promise((go) => setTimeout(go, ms));
  const until = async (look) => { for (let n = 0; n < 100 && !look(); n += 1) await pause(50); };
"""


@pytest.fixture
def page(window: Callable[..., Window]) -> Page:
    """A page of the site, so that its modules can be imported."""
    return window(None).open("/sign-in/", wait=False)


def run(page: Page, body: str) -> Any:
    """Run a script on the stage."""
    return page.evaluate(f"async () => {{ {STAGE} {body} }}")


def test_images_are_told_as_they_come_and_the_assignment_once(page: Page) -> None:
    found = run(
        page,
        """
        script = [answer(told('queued', 0), 202), answer(told('running', 1)), answer(told('running', 1)),
                  answer(told('done', 4)), answer(ready)];
        await desk.generate({ prompt: 'x' });
        await until(() => said('assignment').length);
        await pause(600);
        return { log, asked, busy: desk.busy };
        """,
    )
    assert found["log"] == [
        ["progress", "asking"],
        ["progress", "queued"],
        ["progress", "running"],
        ["images", 1],
        ["progress", "running"],
        ["progress", "finishing"],
        ["images", 4],
        ["progress", "ready"],
        ["assignment", "lease"],
    ]
    assert found["asked"][0] == ["POST", "projects/p/attempts/", {"values": {"prompt": "x"}}]
    assert [method for method, *_ in found["asked"][1:]] == ["GET"] * 4, "it is not looked at once it is over"
    assert found["busy"] is False


def test_a_second_press_while_it_is_asking_is_one_press(page: Page) -> None:
    asked = run(
        page,
        """
        script = [answer(told('queued', 0), 202), answer(ready)];
        const both = await Promise.all([desk.generate({}), desk.generate({})]);
        return [both, asked.filter(([method]) => method === 'POST').length];
        """,
    )
    assert asked == [[True, False], 1]


def test_only_the_newest_attempt_is_heard_of(page: Page) -> None:
    found = run(
        page,
        """
        let late;
        const slowly = () => new Promise((go) => (late = () => go(answer(told('running', 2)))));
        script = [answer(told('queued', 0), 202), slowly];
        await desk.generate({});
        await until(() => late);
        const second = { id: 'two', outcome: 'open', assignment: { id: 'second' } };
        script = [answer(told('queued', 0, { id: 'two' }), 202), answer(told('done', 4, second))];
        await desk.generate({}, { vary: 'a' });
        late();
        await until(() => said('assignment').length);
        return [log, asked.at(2)];
        """,
    )
    log, second = found
    assert ["images", 2] not in log
    assert log[-1] == ["assignment", "second"]
    assert second == ["POST", "projects/p/attempts/", {"values": {}, "vary": "a"}]


def test_a_refusal_is_told_and_what_ran_goes_on(page: Page) -> None:
    found = run(
        page,
        """
        script = [answer(told('running', 0), 202)];
        await desk.generate({});
        const refusal = { code: 'quota_reached', detail: 'None left.', left: 0 };
        script = [answer(refusal, 429), answer(ready)];
        const taken = await desk.generate({});
        await until(() => said('assignment').length);
        return [taken, log];
        """,
    )
    taken, log = found
    assert taken is False
    at = log.index(["problem", "quota_reached"])
    assert log[at - 1 : at + 2] == [["progress", "asking"], ["problem", "quota_reached"], ["progress", "running"]]
    assert log[-1] == ["assignment", "lease"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (
            "answer({ code: 'invalid_answers', detail: 'x', fields: { prompt: ['is required'] } }, 400)",
            "invalid_answers",
        ),
        ("answer(null, 401)", "error_401"),
        ("answer(null, 500)", "error_500"),
        ("'away'", "offline"),
    ],
)
def test_what_is_not_taken_leaves_the_desk_idle(page: Page, answer: str, code: str) -> None:
    log = run(page, f"script = [{answer}]; await desk.generate({{}}); return log;")
    assert log == [["progress", "asking"], ["problem", code], ["progress", "idle"]]


def test_a_server_that_is_away_for_a_while_costs_nothing(page: Page) -> None:
    log = run(
        page,
        """
        script = [answer(told('queued', 0), 202), 'away', answer(null, 503), answer(told('running', 1)), answer(ready)];
        await desk.generate({});
        await until(() => said('assignment').length);
        return log;
        """,
    )
    troubles = [what for name, what in log if name == "trouble"]
    assert len(troubles) == 2 and "does not answer" in troubles[0] and troubles[1] == ""
    assert log[-1] == ["assignment", "lease"]


def test_what_failed_says_why_and_how_many_were_made(page: Page) -> None:
    detail = run(
        page,
        """
        script = [answer(told('queued', 0), 202), answer(told('failed', 1, { error: 'It has no weights.' }))];
        let detail;
        desk.addEventListener('problem', (event) => (detail = event.detail.detail));
        await desk.generate({});
        await until(() => detail);
        return detail;
        """,
    )
    assert detail == (
        "The images could not be made: It has no weights. 1 of 4 were made. Change something, or press Generate again."
    )


def test_a_cancel_before_the_answer_is_kept_until_then(page: Page) -> None:
    found = run(
        page,
        """
        script = [answer(told('queued', 0), 202), answer(told('cancelled', 0), 202)];
        const asking = desk.generate({});
        desk.cancel();
        await asking;
        await pause(400);
        return [log.at(-1), asked.at(-1), asked.length, desk.busy];
        """,
    )
    assert found == [["progress", "cancelled"], ["POST", "attempts/one/cancel/", None], 2, False]


def test_a_reload_goes_on_where_it_was(page: Page) -> None:
    found = run(
        page,
        """
        script = [answer({ results: [told('running', 2)], next: null }), answer(told('running', 2)), answer(ready)];
        const values = (await desk.resume()).values;
        await until(() => said('assignment').length);
        script = [answer({ results: [], next: null })];
        desk.close();
        return [values, log, asked[0][1], await desk.resume()];
        """,
    )
    values, log, address, nothing = found
    assert values == {"prompt": "x"}
    assert log[:2] == [["progress", "running"], ["images", 2]]
    assert log[-1] == ["assignment", "lease"]
    assert (address, nothing) == ("projects/p/attempts/?open=true", None)


def test_the_true_api_brings_images_and_an_assignment(
    window: Callable[..., Window], make_cast: Callable[..., Cast]
) -> None:
    cast = make_cast(items=0)
    live.go_live(cast.project)
    page = window(cast.bob).open("/", wait=False)
    page.evaluate(
        """async (project) => {
          const { LiveDesk } = await import('/static/easel/live/desk.js');
          const { Api } = await import('/static/easel/rank/api.js');
          window.desk = new LiveDesk({ api: new Api('/api/v1/'), project });
          window.images = [];
          desk.addEventListener('images', ({ detail }) => (images = detail));
          desk.addEventListener('assignment', ({ detail }) => (window.assignment = detail));
          desk.addEventListener('problem', ({ detail }) => (window.problem = detail));
        }""",
        str(cast.project.pk),
    )
    Project.objects.filter(pk=cast.project.pk).update(live_quota_person=4)
    assert page.evaluate("() => desk.generate({ prompt: 'a red apple' })") is True, page.evaluate(
        "() => window.problem"
    )
    assert GenerationRequest.objects.get().created_by == cast.bob
    rendered = stage.render(stage.claim())
    record_images(RenderedImages(lease=rendered.lease, images=rendered.images[:1]), timezone.now())
    until(lambda: page.evaluate("() => images.length === 1"))
    record_images(RenderedImages(lease=rendered.lease, images=rendered.images[1:]), timezone.now())
    gather(timezone.now(), cast.project)
    until(lambda: page.evaluate("() => window.assignment !== undefined"))
    shown = page.evaluate("() => assignment.item.candidates.map(({ id }) => id)")
    assert shown == page.evaluate("() => images.map(({ id }) => id)") and len(shown) == 4
    assert page.evaluate("() => desk.generate({ prompt: 'a pear' }, { vary: images[2].id })") is False
    assert page.evaluate("() => [problem.code, problem.left]") == ["quota_reached", 0]
    (only,) = page.evaluate("() => desk.history().then(({ results }) => results)")
    assert only["outcome"] == "open"
