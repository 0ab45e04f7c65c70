"""A service that speaks the OpenAI images protocol over real HTTP, and misbehaves where a test tells it to."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

KEY = "sk-a-key-that-nobody-may-see"
Behaviour = Callable[["Handler"], None]


def painted(prompt: str, kind: str = "PNG", size: tuple[int, int] = (24, 16)) -> bytes:
    """Return an image file of a colour that depends on the prompt, with metadata that must not come through."""
    number = sum(prompt.encode())
    file = io.BytesIO()
    notes = PngInfo()
    notes.add_text("Comment", "written by the service")
    options: dict[str, Any] = {"pnginfo": notes} if kind == "PNG" else {}
    Image.new("RGB", size, (number % 256, number // 7 % 256, 80)).save(file, kind, **options)
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    asked: dict[str, Any]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Make images, or do what the next behaviour says."""
        length = int(self.headers.get("Content-Length") or 0)
        self.asked = json.loads(self.rfile.read(length))
        with self.server.lock:
            self.server.calls.append(Call(time.monotonic(), self.path, dict(self.headers), self.asked))
            turns = self.server.behaviours.get(self.asked.get("prompt", ""), self.server.behaviours.get("", []))
            behaviour = turns.pop(0) if len(turns) > 1 else (turns[0] if turns else paint)
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            behaviour = error(401, f"Incorrect API key provided: {self.headers.get('Authorization')}")
        behaviour(self)

    def do_GET(self) -> None:
        """Hand out an image of which an answer told the address."""
        with self.server.lock:
            self.server.fetched.append(self.path)
        content = painted("fetched")
        self.reply(200, content, "image/png")

    def reply(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Call:
    """What came, and when."""

    at: float
    path: str
    headers: dict[str, str]
    asked: dict[str, Any]


class Server(ThreadingHTTPServer):
    """Serves on a free port. `behaviours`: what to do with a prompt's calls, in order; the last one for all others."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.calls: list[Call] = []
        self.fetched: list[str] = []
        self.behaviours: dict[str, list[Behaviour]] = {}

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when the client has hung up."""


@dataclass
class Painter:
    """The service as tests see it."""

    server: Server
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.server.url

    @property
    def calls(self) -> list[Call]:
        """What was asked so far."""
        return self.server.calls

    def will(self, *behaviours: Behaviour, to: str = "") -> None:
        """Behave like this, call by call, to a prompt's calls or to all."""
        self.server.behaviours[to] = list(behaviours)


@contextmanager
def painter() -> Iterator[Painter]:
    """Run the service."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield Painter(server)
    server.shutdown()
    server.server_close()
    thread.join()


def answer(content: bytes, **more: Any) -> bytes:
    """Return the protocol's answer that holds an image file."""
    return json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(content).decode(), **more}]}).encode()


def paint(handler: Handler) -> None:
    """Do what was asked."""
    if handler.asked.get("response_format") == "url":
        handler.reply(200, json.dumps({"data": [{"url": f"{handler.server.url}/files/1.png?x=1"}]}).encode())
        return
    wide, high = map(int, handler.asked.get("size", "24x16").split("x"))
    content = painted(handler.asked["prompt"], size=(wide, high))
    handler.reply(200, answer(content, revised_prompt=f"A fine picture of {handler.asked['prompt']}"))


def error(status: int, message: str, **headers: str) -> Behaviour:
    """Answer with an error in the protocol's form."""
    return lambda handler: handler.reply(status, json.dumps({"error": {"message": message}}).encode(), **headers)


def raw(content: bytes, status: int = 200, **headers: str) -> Behaviour:
    """Answer with this body."""
    return lambda handler: handler.reply(status, content, **headers)


def cut_short(handler: Handler) -> None:
    """Promise more bytes than come."""
    content = answer(painted("cut"))
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) + 100))
    handler.end_headers()
    handler.wfile.write(content)
    handler.close_connection = True


def cut_chunk(handler: Handler) -> None:
    """Stop within a chunk of a body of unknown length."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'400\r\n{"data": [')
    handler.close_connection = True


def trickle(handler: Handler) -> None:
    """Send a byte now and then, and never come to an end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def trickle_headers(handler: Handler) -> None:
    """Never come to an end of the head."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(600):
        handler.wfile.write(b".")
        time.sleep(0.05)


def flood(handler: Handler) -> None:
    """Send without an end, as long as somebody reads."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(64):
        handler.wfile.write(b" " * 2**20)
    handler.close_connection = True


def wait(seconds: float) -> Behaviour:
    """Paint after a while."""

    def late(handler: Handler) -> None:
        time.sleep(seconds)
        paint(handler)

    return late
