"""A webhook receiver as a shop would write one: it verifies with a library that is not ours, and can be broken."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


class Receiver:
    """Listens on a free port; answers `status`, and notes what it took."""

    def __init__(self, secret: str, status: int = 204) -> None:
        self.status = status
        self.taken: list[tuple[str, dict[str, Any]]] = []
        """(webhook-id, body) of everything that was answered with 2xx; a wrong signature is never taken."""
        self.refused = 0
        receiver, webhook = self, Webhook(secret)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.status
                if 200 <= status < 300:
                    said = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
                    receiver.taken.append((self.headers["webhook-id"], said))
                else:
                    receiver.refused += 1
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/hooks"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
