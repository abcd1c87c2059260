"""What both small servers share: requests and replies in JSON, without a line on standard error."""

from __future__ import annotations

import json
from abc import abstractmethod
from http.server import BaseHTTPRequestHandler
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    @abstractmethod
    def answer(self, asked: Any) -> None:
        """Replies to what was asked."""

    def reply(self, status: int, content: dict[str, Any] | str) -> None:
        """Sends a value, or a text that is no JSON as it stands."""
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
