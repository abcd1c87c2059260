"""A server on loopback that misbehaves as its URL says: http://127.0.0.1:PORT/BEHAVIOUR/TRIAL/v1.

What is asked, and what is answered whole, is appended to a log for each trial, so that a trial can tell what was asked twice.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .behaviours import Reply, behave

LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Answers as the first part of the path says."""

    protocol_version = "HTTP/1.1"
    logs: Path

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not asked:  # of a client that was ended while it wrote
            self.close_connection = True
            return
        _, behaviour, trial, *_ = self.path.split("/")
        question = json.loads(asked)["messages"][0]["content"]
        with LOCK:
            seen, answered = self._log(trial, "asked", question)
        reply = Reply(self, json.loads(asked), question, seen, answered)
        try:
            behave(behaviour, reply)
            if reply.whole:
                with LOCK:
                    self._log(trial, "answered", question)
        except OSError:
            self.close_connection = True  # the client has gone

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _log(self, trial: str, event: str, question: str) -> tuple[int, int]:
        """Notes what happened; returns how often it had for this question in this trial, and how many were answered."""
        path = self.logs / f"{trial}.jsonl"
        before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([event, question]) + "\n")
        rows = [json.loads(line) for line in before]
        return rows.count([event, question]), sum(row[0] == "answered" for row in rows)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    """Threads end with the process."""

    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Says nothing of a client that has gone."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


@contextmanager
def serving(logs: Path) -> Iterator[str]:
    """The address of a server that runs in a process of its own, for the time of the block."""
    import subprocess

    logs.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", "hostile.server", str(logs)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    Handler.logs = Path(sys.argv[1])
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
