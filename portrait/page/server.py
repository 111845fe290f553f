"""The page over loopback, for who holds its address: a page, and questions that take and give JSON.

The standard library's server: what is asked is one page and, now and then, one answer to one person. viser would bring
a scene and sliders of its own beside the page's, over a socket and without the file that can be kept.

The address has a token, which other programs of this machine and other pages in the browser don't know. A question also
has to name this machine as its host and, where it has an origin, to come from this page: a name that somebody points at
the loopback (DNS rebinding) doesn't pass.
"""

from __future__ import annotations

import errno
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from foundation.errors import PortraitError

HOST = "127.0.0.1"
LONGEST = 64 << 20  # bytes of a question
Answer = Callable[[dict], dict]


class PageServer(ThreadingHTTPServer):
    """Serves until it is closed. answers: by name, functions of a question's JSON; one at a time."""

    daemon_threads = True

    def __init__(self, page: bytes, answers: Mapping[str, Answer], port: int = 0) -> None:
        self.page, self.answers, self.lock = page, dict(answers), Lock()
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise PortraitError(
                    f"--port {port}: it is in use, or not yours to use; give another, or none for any that is free"
                ) from None
            raise

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request, client_address) -> None:
        """A browser that closes its connection early is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version, sys_version = "portrait", ""

    def do_GET(self) -> None:
        if self._known() == "":
            self._send(200, self.server.page, "text/html; charset=utf-8")
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        name = self._known()
        answer = self.server.answers.get(name or "")
        length = self.headers.get("Content-Length", "")
        if answer is None or not self._from_page():
            return self._send(404, b"", "text/plain")
        if not (length.isascii() and length.isdecimal()) or int(length) > LONGEST:
            return self._json(413, {"error": "a question as long as that isn't answered"})
        try:
            question = json.loads(self.rfile.read(int(length)))
            if not isinstance(question, dict):
                raise ValueError("expected an object")
            with self.server.lock:
                self._json(200, answer(question))
        except PortraitError as error:
            self._json(400, {"error": str(error)})
        except (ValueError, RecursionError) as error:
            self._json(400, {"error": f"the question can't be read ({error})"})

    def _known(self) -> str | None:
        """What is asked for, after the token; None for strangers."""
        hosts = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        parts = self.path.split("/")
        if len(parts) != 3 or self.headers.get("Host") not in hosts:
            return None
        same = hmac.compare_digest(parts[1].encode("utf-8", "replace"), self.server.token.encode())
        return parts[2] if same else None

    def _from_page(self) -> bool:
        origins = {None, *(f"http://{name}:{self.server.server_port}" for name in (HOST, "localhost"))}
        return self.headers.get("Origin") in origins and self.headers.get_content_type() == "application/json"

    def _json(self, code: int, value: dict) -> None:
        self._send(code, json.dumps(value).encode(), "application/json")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        headers = {
            "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        """The token is in every line, so none is written."""
