"""Asking a service for one image, in the OpenAI images form: `POST {base}/images/generations`.

Every wait has an end: an answer, its bytes, the attempts and the time of one image are bounded. Redirects are not
followed, and an image that comes as an address is fetched from the service's own host only. What comes is decoded here
and written anew as PNG, so nothing else of a stranger's file reaches the storage.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import logging
import math
import random
import ssl
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Event, Lock, Timer
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
from PIL import Image

from generation.errors import (
    ServiceAnswerError,
    ServiceKeyError,
    ServiceRefusedError,
    ServiceUnavailableError,
    WorkerStoppingError,
)
from generation.services import ApiService, variable_of
from generation.writing import Pixels

log = logging.getLogger(__name__)

MAX_PIXELS = 4_096 * 4_096
_FORMATS = ["PNG", "JPEG", "WEBP"]
_CONNECT_SECONDS = 10.0
_FIRST_PAUSE = 0.5  # seconds; doubled after each attempt, up to the next line, and drawn by lot below that
_LONGEST_PAUSE = 30.0
_BUSY = {408, 409, 425, 429}


class _TryAgainError(Exception):
    """This attempt failed, the next may not. `wait`: the seconds that the service asks for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Picture:
    """An image as it came, decoded."""

    pixels: Pixels
    revised_prompt: str
    """What the service made of the prompt; empty where it does not say."""


class TokenBucket:
    """A rate that several threads keep together: never more than `per_minute`, evenly spread; None: no limit."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0  # on time.monotonic's clock: when the next token falls
        self._lock = Lock()

    def take(self, stop: Event) -> None:
        """Wait for a token. Raises WorkerStoppingError."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._seconds
        _rest(at - now, stop)

    def pause(self, seconds: float) -> None:
        """Give out no token for a while: the service has said that it is busy."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class ImageService:
    """One service, shared by the threads that ask it for images."""

    def __init__(self, name: str, settings: ApiService) -> None:
        self.name = name
        self.settings = settings
        self._base = urlsplit(settings.url)
        self._bucket = TokenBucket(settings.images_per_minute)

    def make(self, prompt: str, size: str, stop: Event) -> Picture:
        """Return one image of a prompt; `size` as 1024x1024, empty for the service's own.

        Raises ServiceKeyError, ServiceRefusedError, ServiceAnswerError, ServiceUnavailableError or
        WorkerStoppingError.
        """
        asked: dict[str, object] = {"model": self.settings.model, "prompt": prompt, "n": 1}
        if size:
            asked["size"] = size
        if self.settings.response_format != "none":
            asked["response_format"] = self.settings.response_format
        answer = self._persist("POST", f"{self.settings.url}/images/generations", json.dumps(asked).encode(), stop)
        content, revised_prompt = self._read(answer, stop)
        return Picture(_decode(content, self), revised_prompt)

    def _read(self, answer: bytes, stop: Event) -> tuple[bytes, str]:
        """Return the image's file, fetched if the answer names an address, and the revised prompt."""
        try:
            image = json.loads(answer)["data"][0]
            encoded, address = image.get("b64_json"), image.get("url")
            revised_prompt = str(image.get("revised_prompt") or "")[:10_000]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise ServiceAnswerError(
                f"api:{self.name} answered with something other than the OpenAI images form: {self._quote(answer)}. "
                f"Check {variable_of(self.name, 'url')}."
            ) from error
        if isinstance(encoded, str):
            try:
                return base64.b64decode(encoded, validate=True), revised_prompt
            except (binascii.Error, ValueError) as error:
                raise ServiceAnswerError(f"api:{self.name} sent an image that is no base64: {error}.") from error
        if not isinstance(address, str):
            raise ServiceAnswerError(f"api:{self.name} answered without an image: {self._quote(answer)}.")
        try:
            target = urljoin(f"{self.settings.url}/", address)
            same = address.isascii() and _origin(target) == _origin(self.settings.url)
        except ValueError:
            same = False
        if not same:
            raise ServiceAnswerError(
                f"api:{self.name} put its image on another host, from where nothing is fetched. "
                f"Set {variable_of(self.name, 'response_format')} to b64_json."
            )
        return self._persist("GET", target, None, stop), revised_prompt

    def _persist(self, method: str, url: str, body: bytes | None, stop: Event) -> bytes:
        """Ask until there is an answer, the attempts are used up, or the time is over."""
        began = time.monotonic()
        deadline = began + self.settings.total_seconds
        for attempt in range(1, self.settings.attempts + 1):
            if method == "POST":
                self._bucket.take(stop)
                if attempt == 1:  # waiting for one's turn is no fault of the service
                    deadline = time.monotonic() + self.settings.total_seconds
            try:
                return self._exchange(method, url, body, max(1.0, deadline - time.monotonic()))
            except _TryAgainError as trouble:
                pause = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
                pause = random.uniform(pause / 2, pause)  # noqa: S311 -- jitter, so that threads do not come back at once
                if trouble.wait is not None:
                    pause += trouble.wait
                    self._bucket.pause(trouble.wait)
                if attempt == self.settings.attempts or time.monotonic() + pause > deadline:
                    asks = "" if trouble.wait is None else f"; it asks to wait for {trouble.wait:.0f} s"
                    times = "once" if attempt == 1 else f"{attempt} times"
                    raise ServiceUnavailableError(
                        f"api:{self.name} was asked {times} in {time.monotonic() - began:.0f} s{asks}: {trouble}"
                    ) from trouble
                log.warning("api:%s: %s; trying again in %.1f s", self.name, trouble, pause)
            _rest(pause, stop)
        raise AssertionError("the last attempt returns or raises")

    def _exchange(self, method: str, url: str, body: bytes | None, seconds: float) -> bytes:
        """Send one request and return the body of a good answer."""
        seconds = min(seconds, self.settings.timeout_seconds)
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection = (
            HTTPSConnection(
                host, parts.port, timeout=min(seconds, _CONNECT_SECONDS), context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else HTTPConnection(host, parts.port, timeout=min(seconds, _CONNECT_SECONDS))
        )
        late = Event()
        clock: Timer | None = None
        try:
            connection.connect()
            sock = connection.sock

            def hang_up() -> None:
                late.set()
                with suppress(OSError):  # the connection has ended by itself
                    sock.shutdown(2)

            # One clock for the whole answer: a socket's own begins anew with each byte, so a trickle would never end.
            clock = Timer(seconds, hang_up)
            clock.daemon = True
            clock.start()
            sock.settimeout(seconds)
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            connection.request(method, target, body, self._headers(method))
            response = connection.getresponse()
            content = self._receive(response)
        except TimeoutError as error:
            raise _TryAgainError(f"no whole answer within {seconds:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise ServiceAnswerError(
                f"the certificate of api:{self.name} is not good: {error.verify_message}."
            ) from error
        except (OSError, HTTPException, _TryAgainError) as error:
            if late.is_set():
                raise _TryAgainError(f"no whole answer within {seconds:g} s") from error
            if isinstance(error, _TryAgainError):
                raise
            raise _TryAgainError(f"the connection broke: {self._scrub(str(error) or type(error).__name__)}") from error
        finally:
            if clock is not None:
                clock.cancel()
            connection.close()
        if late.is_set():
            raise _TryAgainError(f"no whole answer within {seconds:g} s")
        return self._judge(response, content)

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Accept": "application/json" if method == "POST" else "image/*", "User-Agent": "Easel"}
        if method == "POST":
            headers["Content-Type"] = "application/json"
        if key := self.settings.key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _receive(self, response: HTTPResponse) -> bytes:
        """Read the body, which must be whole and not too large."""
        limit = self.settings.max_mb * 2**20
        content = response.read(limit + 1)
        if len(content) > limit:
            raise ServiceAnswerError(
                f"the answer of api:{self.name} is larger than {self.settings.max_mb} MB. "
                f"Ask for smaller images, or raise {variable_of(self.name, 'max_mb')}."
            )
        if response.length:  # http.client does not mind a body that ends too early
            raise _TryAgainError(f"the answer broke off after {len(content):,} bytes")
        return content

    def _judge(self, response: HTTPResponse, content: bytes) -> bytes:
        """Return the body of a good answer, or raise what another one means."""
        status = response.status
        if status == 200:
            return content
        said = self._quote(content)
        if 300 <= status < 400:
            raise ServiceAnswerError(
                f"api:{self.name} answered with a redirect ({status}), which is not followed. "
                f"Set {variable_of(self.name, 'url')} to the final address."
            )
        if status in _BUSY or status >= 500:
            raise _TryAgainError(f"{status}: {said}", _retry_after(response.headers.get("Retry-After")))
        if status in {401, 403}:
            raise ServiceKeyError(
                f"api:{self.name} does not let this worker in ({status}): {said}. "
                f"Check {variable_of(self.name, 'key')} in its environment."
            )
        if status in {404, 405}:
            raise ServiceKeyError(
                f"api:{self.name} has no such address or model ({status}): {said}. Check "
                f"{variable_of(self.name, 'url')} and {variable_of(self.name, 'model')} in the worker's environment."
            )
        if 400 <= status < 500:
            raise ServiceRefusedError(f"api:{self.name} refused ({status}): {said}")
        raise ServiceAnswerError(f"api:{self.name} answered with status {status}: {said}")

    def _quote(self, content: bytes) -> str:
        """Return what the service said, in one short line without its key."""
        text = content[:4_096].decode("utf-8", errors="replace")
        with suppress(ValueError, RecursionError):  # most services say it in JSON, some in plain text
            text = _message_in(json.loads(content)) or text
        return self._scrub(text)

    def _scrub(self, text: str) -> str:
        if key := self.settings.key.get_secret_value():
            text = text.replace(key, "…")
        line = "".join(letter if letter.isprintable() else " " for letter in text)
        return " ".join(line.split())[:300].rstrip(". ") or "nothing"


def _message_in(answer: Any) -> str:
    """Find the message in the usual forms of an error: {"error": {"message"}}, {"error"}, {"message"}, {"detail"}."""
    if not isinstance(answer, dict):
        return ""
    for name in ("error", "message", "detail"):
        value = answer.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and (found := _message_in(value)):
            return found
    return ""


def _origin(url: str) -> tuple[str, str | None, int]:
    """Return scheme, host and port. Raises ValueError for a malformed address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        raise ValueError("not an address of the web")
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which may hold a date; None where it says nothing usable."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return max(0.0, min(seconds, 86_400.0)) if math.isfinite(seconds) else None


def _rest(seconds: float, stop: Event) -> None:
    end = time.monotonic() + seconds
    while not stop.is_set():
        left = end - time.monotonic()
        if left <= 0:
            return
        stop.wait(min(left, 0.2))  # in slices: an order to the whole worker does not wake who waits for one to the job
    raise WorkerStoppingError("the worker was told to stop; its job goes to the next one")


def _decode(content: bytes, service: ImageService) -> Pixels:
    """Return the pixels of an image file, (height, width, 3), transparent parts on white. Raises ServiceAnswerError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
            with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
                width, height = opened.size
                if width * height > MAX_PIXELS:
                    raise ServiceAnswerError(
                        f"api:{service.name} sent an image of {width} x {height} pixels; {MAX_PIXELS:,} are the most."
                    )
                opened.load()
                image = opened.convert("RGBA") if opened.has_transparency_data else opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ServiceAnswerError(
            f"api:{service.name} sent {len(content):,} bytes that are no whole PNG, JPEG or WebP image."
        ) from error
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return np.asarray(image)
