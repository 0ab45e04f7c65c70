"""Images from a service, asked for over real HTTP; the service misbehaves in every way that was thought of."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generation import errors
from generation.api_renderer import ApiRenderer
from generation.services import ApiService
from generation.storage import Storage
from generation.types import Conditioning, ImageSlot, Lease, ModelReference, RenderedImage, RenderPrompt, RenderRequest
from tests.generation import paint_service as service
from tests.generation.conftest import id_of
from tests.generation.paint_service import KEY, Painter, answer, error, painted, raw

ROOT = Path(__file__).resolve().parents[2]
FAST = {"attempts": 3, "timeout_seconds": 5, "total_seconds": 20}


@pytest.fixture
def painter() -> Iterator[Painter]:
    """The service, running."""
    with service.painter() as running:
        yield running


class Asking:
    """Asks the service as a worker does, and keeps what came of it."""

    def __init__(self, painter: Painter, storage: Storage) -> None:
        self.painter, self.storage = painter, storage
        self.images: list[RenderedImage] = []
        self.notes: list[str] = []
        self.stop = threading.Event()

    def __call__(
        self, *prompts: str, each: int = 1, request: dict[str, Any] | None = None, **settings: Any
    ) -> dict[str, list[RenderedImage]]:
        known = {"url": self.painter.url, "key": KEY, "model": "painter-1", **FAST, **settings}
        asked = request_for(prompts, self.storage, each, **(request or {}))
        renderer = ApiRenderer({"painter": ApiService.model_validate(known)})
        renderer.render(asked, self.storage, on_images=self.images.extend, on_note=self.notes.append, stop=self.stop)
        return self.found(prompts)

    def found(self, prompts: tuple[str, ...]) -> dict[str, list[RenderedImage]]:
        """The images so far, by prompt, in order."""
        return {
            text: sorted((one for one in self.images if one.prompt == id_of(text)), key=lambda one: one.position)
            for text in prompts
        }

    def refusal(self, *prompts: str, **how: Any) -> errors.RenderError:
        """Ask for what cannot be had, and return why. The key is nowhere in it."""
        with pytest.raises(errors.RenderError) as caught:
            self(*prompts, **how)
        assert KEY not in str(caught.value) + repr(caught.value.__cause__)
        assert "\n" not in str(caught.value)
        return caught.value


@pytest.fixture
def ask_service(painter: Painter, storage: Storage, caplog: pytest.LogCaptureFixture) -> Iterator[Asking]:
    """Ask the running service; whatever happens, its key is never logged."""
    caplog.set_level(logging.DEBUG)
    yield Asking(painter, storage)
    assert KEY not in caplog.text


def request_for(texts: tuple[str, ...], storage: Storage, each: int = 1, **more: Any) -> RenderRequest:
    """A request for the model `api:painter`."""
    model = ModelReference(id=id_of("painter"), name="Painter", location="api:painter")
    rendered = tuple(
        RenderPrompt(
            id=id_of(text),
            text=text,
            slots=tuple(ImageSlot(position=position, seed=7) for position in range(each)),
        )
        for text in texts
    )
    fields = {"lane": "batch", "model": model, "prompts": rendered, "storage_url": storage.url, **more}
    return RenderRequest.model_validate({"lease": Lease(job=id_of("j"), token=id_of("t"), attempt=1), **fields})


def test_images_come_with_what_is_known_of_them_and_what_is_not(ask_service: Asking) -> None:
    found = ask_service("a fox", "ein Schäfchen 🐑", each=2, cost_per_image=0.04, size="32x24")
    assert {text: [one.position for one in images] for text, images in found.items()} == {
        "a fox": [0, 1],
        "ein Schäfchen 🐑": [0, 1],
    }
    one = found["a fox"][0]
    assert (one.width, one.height) == (32, 24)
    made = one.manifest
    assert (made.cost, made.device, made.model, made.prompt) == (0.04, "api:painter", "Painter", "a fox")
    assert (made.seed, made.steps, made.guidance_scale, made.model_sha256) == (None, None, None, None)
    assert made.service is not None
    assert made.service.model_dump() == {
        "service": "api:painter",
        "model": "painter-1",
        "size": "32x24",
        "revised_prompt": "A fine picture of a fox",
    }
    with Image.open(io.BytesIO(ask_service.storage.read(one.key))) as image:
        assert (image.format, image.info) == ("PNG", {})
    assert KEY not in one.model_dump_json()
    call = ask_service.painter.calls[0]
    assert (call.path, call.headers["Authorization"]) == ("/v1/images/generations", f"Bearer {KEY}")
    assert call.asked == {
        "model": "painter-1",
        "prompt": call.asked["prompt"],
        "n": 1,
        "size": "32x24",
        "response_format": "b64_json",
    }


def test_an_image_may_come_as_an_address_on_the_same_host(ask_service: Asking) -> None:
    assert len(ask_service("a fox", response_format="url")["a fox"]) == 1
    assert ask_service.painter.server.fetched == ["/v1/files/1.png?x=1"]


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:{port}/files/1.png",  # the same machine by another name
        "http://127.0.0.1:1/files/1.png",
        "https://127.0.0.1:{port}/files/1.png",
        "http://me@127.0.0.1:{port}/files/1.png",
        "http://[::1]:{port}/x",
        "http://2130706433:{port}/x",
        "file:///etc/passwd",
        "//example.com/x",
        "http://127.0.0.1:{port}/ä",
        "http://127.0.0.1:no/x",
    ],
)
def test_an_image_on_another_host_is_never_fetched(ask_service: Asking, address: str) -> None:
    target = address.format(port=ask_service.painter.server.server_port)
    ask_service.painter.will(raw(json.dumps({"data": [{"url": target}]}).encode()))
    refusal = ask_service.refusal("a fox", response_format="url")
    assert (refusal.code, refusal.retryable) == ("service_answer", False)
    assert "EASEL_API_PAINTER_RESPONSE_FORMAT" in str(refusal)
    assert ask_service.painter.server.fetched == []


def test_the_size_of_the_request_counts_and_a_service_may_know_no_response_format(ask_service: Asking) -> None:
    found = ask_service("a fox", response_format="none", request={"settings": {"width": 48, "height": 40}})
    assert (found["a fox"][0].width, found["a fox"][0].height) == (48, 40)
    assert "response_format" not in ask_service.painter.calls[0].asked


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_image_formats_become_png(ask_service: Asking, kind: str) -> None:
    ask_service.painter.will(raw(answer(painted("a fox", kind))))
    (one,) = ask_service("a fox")["a fox"]
    assert ask_service.storage.read(one.key).startswith(b"\x89PNG")


def test_transparent_parts_stand_on_white(ask_service: Asking) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(file, "PNG")
    ask_service.painter.will(raw(answer(file.getvalue())))
    (one,) = ask_service("a fox")["a fox"]
    with Image.open(io.BytesIO(ask_service.storage.read(one.key))) as image:
        assert (image.mode, image.getpixel((0, 0))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize("in_words", [False, True])
def test_a_busy_service_is_asked_again_when_it_says_so(ask_service: Asking, in_words: bool) -> None:
    after = formatdate(time.time() + 2, usegmt=True) if in_words else "1"
    ask_service.painter.will(error(429, "Rate limit", Retry_After=after), service.paint)
    assert len(ask_service("a fox")["a fox"]) == 1
    first, second = ask_service.painter.calls
    assert second.at - first.at >= 1


def test_who_waits_for_a_busy_service_makes_the_others_wait_too(ask_service: Asking) -> None:
    ask_service.painter.will(error(429, "Rate limit", Retry_After="1"), service.paint)
    ask_service("a", "b", "c", parallel=1)
    first, *others = ask_service.painter.calls
    assert min(call.at for call in others) - first.at >= 1


@pytest.mark.parametrize("after", ["3600", "-5", "nan", "soon", "", "inf", "1e999"])
def test_a_service_that_asks_to_wait_for_too_long_or_in_riddles_does_not_hold_the_worker(
    ask_service: Asking, after: str
) -> None:
    ask_service.painter.will(error(503, "Closed", Retry_After=after))
    began = time.monotonic()
    refusal = ask_service.refusal("a fox", attempts=2)
    assert (refusal.code, refusal.retryable) == ("service_unavailable", True)
    assert "503: Closed" in str(refusal)
    assert time.monotonic() - began < 5
    assert len(ask_service.painter.calls) == (1 if after == "3600" else 2)


def test_a_broken_service_is_asked_again_and_then_answers(ask_service: Asking) -> None:
    ask_service.painter.will(error(500, "Oops"), error(502, "Oops"), service.paint)
    assert len(ask_service("a fox")["a fox"]) == 1


def test_a_service_that_stays_broken_is_given_up_on(ask_service: Asking) -> None:
    ask_service.painter.will(raw(b"<html>Internal\nServer Error</html>", 500))
    refusal = ask_service.refusal("a fox")
    assert (refusal.code, refusal.retryable) == ("service_unavailable", True)
    assert "“a fox”: api:painter was asked 3 times" in str(refusal)
    assert "500: <html>Internal Server Error</html>" in str(refusal)
    assert len(ask_service.painter.calls) == 3


def test_the_rest_of_a_job_is_not_asked_of_a_service_that_is_away(ask_service: Asking) -> None:
    ask_service.painter.will(error(500, "Oops"))
    refusal = ask_service.refusal(*"abcdefgh", attempts=1, parallel=1)
    assert "the rest was not asked for" in str(refusal)
    assert 3 <= len(ask_service.painter.calls) <= 5


@pytest.mark.parametrize("behaviour", [service.trickle, service.trickle_headers, service.wait(3)])
def test_a_slow_answer_has_an_end(ask_service: Asking, behaviour: service.Behaviour) -> None:
    ask_service.painter.will(behaviour)
    began = time.monotonic()
    refusal = ask_service.refusal("a fox", timeout_seconds=0.4, attempts=2)
    assert time.monotonic() - began < 2.9
    assert (refusal.code, refusal.retryable) == ("service_unavailable", True)
    assert "no whole answer within 0.4 s" in str(refusal)


@pytest.mark.parametrize("behaviour", [service.cut_short, service.cut_chunk])
def test_an_answer_that_breaks_off_is_asked_for_again(ask_service: Asking, behaviour: service.Behaviour) -> None:
    ask_service.painter.will(behaviour, service.paint)
    assert len(ask_service("a fox")["a fox"]) == 1
    ask_service.painter.will(behaviour)
    assert ask_service.refusal("a hen").code == "service_unavailable"


def test_nobody_at_the_address_is_a_service_that_is_away(ask_service: Asking) -> None:
    refusal = ask_service.refusal("a fox", url="http://127.0.0.1:1/v1")
    assert (refusal.code, refusal.retryable) == ("service_unavailable", True)
    assert "Connection refused" in str(refusal)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not json", "other than the OpenAI images form: not json"),
        (b"", "other than the OpenAI images form: nothing"),
        (b"[]", "other than the OpenAI images form"),
        (b'{"data": []}', "other than the OpenAI images form"),
        (b'{"data": {"b64_json": ""}}', "other than the OpenAI images form"),
        (b'{"data": [null]}', "other than the OpenAI images form"),
        (b'{"data": [{}]}', "answered without an image"),
        (b'{"data": [{"b64_json": 7}]}', "answered without an image"),
        (b'{"data": [{"b64_json": "!!!"}]}', "is no base64"),
        (b'{"data": [{"b64_json": ""}]}', "no whole PNG, JPEG or WebP"),
        (b"[" * 100_000, "other than the OpenAI images form"),
        (answer(b"GIF89a, or so"), "no whole PNG, JPEG or WebP"),
        (answer(painted("a fox")[:60]), "no whole PNG, JPEG or WebP"),
        (answer(painted("a fox", "GIF")), "no whole PNG, JPEG or WebP"),
        (answer(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "no whole PNG, JPEG or WebP"),
        (answer(painted("a fox", size=(5_000, 5_000))), "5000 x 5000 pixels"),
    ],
)
def test_an_answer_of_no_use_is_refused_and_not_paid_for_twice(ask_service: Asking, body: bytes, message: str) -> None:
    ask_service.painter.will(raw(body))
    refusal = ask_service.refusal("a fox")
    assert (refusal.code, refusal.retryable) == ("service_answer", False)
    assert message in str(refusal)
    assert len(ask_service.painter.calls) == 1


@pytest.mark.parametrize("behaviour", [service.flood, raw(b" " * (2 * 2**20))])
def test_an_oversized_answer_is_not_read_to_its_end(ask_service: Asking, behaviour: service.Behaviour) -> None:
    ask_service.painter.will(behaviour)
    refusal = ask_service.refusal("a fox", max_mb=1)
    assert refusal.code == "service_answer"
    assert "larger than 1 MB" in str(refusal)
    assert "EASEL_API_PAINTER_MAX_MB" in str(refusal)


def test_a_redirect_is_not_followed(ask_service: Asking, painter: Painter) -> None:
    with service.painter() as elsewhere:
        painter.will(raw(b"", 307, Location=f"{elsewhere.url}/images/generations"))
        refusal = ask_service.refusal("a fox")
        assert elsewhere.calls == []
    assert refusal.code == "service_answer"
    assert "redirect (307)" in str(refusal)


def test_a_refused_text_costs_no_other_and_the_words_of_the_service_are_shown(ask_service: Asking) -> None:
    ask_service.painter.will(error(400, "Your request was rejected by our safety system."), to="a rude fox")
    refusal = ask_service.refusal("a fox", "a rude fox", "a hen", each=2)
    assert (refusal.code, refusal.retryable) == ("service_refused", False)
    assert str(refusal) == (
        "1 of 3 prompts failed. “a rude fox”: api:painter refused (400): Your request was rejected by our safety system"
    )
    found = ask_service.found(("a fox", "a rude fox", "a hen"))
    assert {text: len(images) for text, images in found.items()} == {"a fox": 2, "a rude fox": 0, "a hen": 2}


def test_a_reason_to_try_again_goes_before_one_that_is_final(ask_service: Asking) -> None:
    ask_service.painter.will(error(400, "No."), to="a rude fox")
    ask_service.painter.will(error(500, "Oops"), to="a hen")
    refusal = ask_service.refusal("a rude fox", "a hen", "a fox")
    assert refusal.code == "service_unavailable"
    assert "2 of 3 prompts failed. “a hen”" in str(refusal)
    assert "“a rude fox”" in str(refusal)
    assert len(ask_service.found(("a fox",))["a fox"]) == 1


def test_a_wrong_key_ends_the_job_and_is_not_shown(ask_service: Asking) -> None:
    wrong = "sk-a-wrong-key"
    refusal = ask_service.refusal(*"abcdefgh", key=wrong, parallel=1)
    assert (refusal.code, refusal.retryable) == ("service_key", False)
    assert "Incorrect API key provided: Bearer …" in str(refusal)
    assert "EASEL_API_PAINTER_KEY" in str(refusal)
    assert wrong not in str(refusal)
    assert len(ask_service.painter.calls) <= 2


def test_a_wrong_model_says_which_variable_to_look_at(ask_service: Asking) -> None:
    ask_service.painter.will(error(404, "The model `painter-1` does not exist"))
    assert "EASEL_API_PAINTER_MODEL" in str(ask_service.refusal("a fox"))


def test_the_rate_is_kept(ask_service: Asking) -> None:
    ask_service(*"abcdef", images_per_minute=600, parallel=6)
    times = [call.at for call in ask_service.painter.calls]
    assert times[-1] - times[0] >= 0.45
    assert min(later - sooner for sooner, later in pairwise(times)) > 0.03


def test_images_are_asked_for_at_the_same_time(ask_service: Asking) -> None:
    ask_service.painter.will(service.wait(0.5))
    began = time.monotonic()
    ask_service(*"abcd", parallel=4)
    assert time.monotonic() - began < 1.6


@pytest.mark.parametrize("to_all", [False, True])
def test_a_stop_ends_the_work_between_images_and_loses_none_that_was_paid_for(
    ask_service: Asking, to_all: bool
) -> None:
    ask_service.painter.will(service.wait(0.3))
    if to_all:
        from generation.pulse import Order

        worker, ask_service.stop = ask_service.stop, Order(ask_service.stop)
    else:
        worker = ask_service.stop
    threading.Timer(0.45, worker.set).start()
    refusal = ask_service.refusal(*"abcdefgh", parallel=1)
    assert refusal.code == "worker_stopping"
    assert len(ask_service.images) == len(ask_service.painter.calls) < 8


def test_a_stop_ends_a_long_pause(ask_service: Asking) -> None:
    ask_service.painter.will(error(429, "Busy", Retry_After="15"))
    threading.Timer(0.3, ask_service.stop.set).start()
    began = time.monotonic()
    assert ask_service.refusal("a fox").code == "worker_stopping"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"settings": {"steps": 3, "guidance_scale": 2.0}}, "the request names steps, guidance"),
        ({"settings": {"scheduler": "lcm"}}, "a scheduler"),
        ({"settings": {"width": 64}}, "both width and height"),
    ],
)
def test_what_a_service_cannot_do_is_refused_and_not_left_out(
    ask_service: Asking, more: dict[str, Any], message: str
) -> None:
    refusal = ask_service.refusal("a fox", request=more)
    assert (refusal.code, refusal.retryable) == ("service_cannot", False)
    assert message in str(refusal)
    assert ask_service.painter.calls == []


def test_a_prompt_that_a_service_cannot_take_costs_no_other(ask_service: Asking) -> None:
    asked = request_for(("a fox", "a hen", "an owl"), ask_service.storage)
    fox, hen, owl = asked.prompts
    start = Conditioning(kind="image", image=f"{'a' * 2}/{'a' * 64}.png")
    prompts = (
        fox.model_copy(update={"negative": "blurry"}),
        hen,
        owl.model_copy(update={"conditioning": start}),
    )
    refusal = ask_service.refusal("a fox", "a hen", "an owl", request={"prompts": prompts})
    assert (refusal.code, refusal.retryable) == ("service_cannot", False)
    assert "2 of 3 prompts failed" in str(refusal)
    assert "“a fox”: api:painter takes no negative prompt" in str(refusal)
    assert "“an owl”: api:painter starts from no picture" in str(refusal)
    assert [len(images) for images in ask_service.found(("a fox", "a hen", "an owl")).values()] == [0, 1, 0]


def test_a_service_that_this_worker_does_not_know_may_be_known_to_another(storage: Storage) -> None:
    with pytest.raises(errors.ServiceUnknownError, match="EASEL_API_PAINTER_URL") as caught:
        ApiRenderer({}).render(request_for(("a fox",), storage), storage, on_images=lambda images: None)
    assert caught.value.retryable


def test_a_request_for_a_service_loads_no_torch(painter: Painter, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom generation.render import main\n"
        f"code = main(['--model', 'api:painter', '--prompt', 'a fox', '--out', {str(tmp_path / 'out')!r}])\n"
        "print(code, sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "EASEL_API_PAINTER_URL": painter.url,
        "EASEL_API_PAINTER_KEY": KEY,
        "EASEL_API_PAINTER_MODEL": "painter-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"
    assert len(list((tmp_path / "out").glob("*/*.png"))) == 1


def test_many_threads_share_one_rate() -> None:
    from generation.http_images import TokenBucket

    bucket = TokenBucket(1_200)
    times: list[float] = []
    lock = threading.Lock()

    def take() -> None:
        for _ in range(4):
            bucket.take(threading.Event())
            with lock:
                times.append(time.monotonic())

    threads = [threading.Thread(target=take) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 16
    assert max(times) - began >= 15 * 0.05 - 0.01
