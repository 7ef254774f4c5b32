"""The HTTP side: one receiver, one request at a time, and what its answer means."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from enum import Enum
from urllib.parse import urlsplit

from stream.errors import WrongUsage

TIMEOUT_S = 15.0
ANSWER_BYTES = 64 * 1024
"""Of an answer's body so much is read, that the connection can be used again; a longer one costs a new connection."""
LATER = frozenset({408, 425, 429})
"""Refusals that speak of the moment, not of the message."""


class Answer(Enum):
    """What became of an attempt."""

    TAKEN = "taken"
    LATER = "later"
    """The receiver is away, busy or broken: the same message again, after a pause."""
    REFUSED = "refused"
    """The receiver does not want this message."""


class Receiver:
    """Posts to one URL over a connection that is kept; not for several threads."""

    def __init__(self, url: str) -> None:
        """Connect at the first post. Raises WrongUsage where `url` is no HTTP address."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or parts.username:
            raise WrongUsage(
                "--forward-to is not an address http://HOST[:PORT]/PATH or https://...",
                action="give the receiver's address; its secret belongs into LIVESEGMENT_WEBHOOK_SECRET",
            )
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.shown = f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}"
        """The address without path and query, which may hold a token."""
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=TIMEOUT_S, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=TIMEOUT_S)

    def post(self, body: bytes, headers: Mapping[str, str]) -> tuple[Answer, str]:
        """Post once; what became of it, and why, in a few words. Redirects are not followed, they mean later."""
        try:
            self._connection.request("POST", self._path, body, dict(headers))
            reply = self._connection.getresponse()
            reply.read(ANSWER_BYTES)
            if not reply.isclosed():
                self._connection.close()
        except (OSError, http.client.HTTPException) as problem:
            self._connection.close()
            return Answer.LATER, f"{type(problem).__name__}: {problem}"
        return _meaning(reply.status), f"status {reply.status}"

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _meaning(status: int) -> Answer:
    """Tell what a status asks for: 2xx is a yes, 4xx a no, all else may pass.

    >>> [_meaning(status).value for status in (204, 429, 500, 302, 410, 400)]
    ['taken', 'later', 'later', 'later', 'later', 'refused']
    """
    if 200 <= status < 300:
        return Answer.TAKEN
    # 410 asks to be left alone for good; that is for a person to do, and nothing may be lost until then.
    return Answer.REFUSED if 400 <= status < 500 and status not in LATER | {401, 403, 404, 410} else Answer.LATER
