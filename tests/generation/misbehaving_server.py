"""An OpenAI-compatible server on loopback whose answers are known and whose faults are chosen: `python ... PORT LOG FAULTS`.

FAULTS is JSON: {"429": share, "500": share, "hang": share, "drop": share}. Each question that is answered is appended to LOG, and
each that is asked to LOG.asked, its model to LOG.models, its stop texts to LOG.stops, so that a test can tell what happened over
all lives of the server.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from replies import JsonHandler

PORT, LOG, FAULTS = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
LOCK = threading.Lock()
DRAW = random.Random(PORT)


def log(path: Path, question: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(question) + "\n")


class Handler(JsonHandler):
    def answer(self, asked: Any) -> None:
        (message,) = asked["messages"]
        assert self.path == "/v1/chat/completions"
        assert message["role"] == "user"
        question = message["content"]
        with LOCK:
            chance = DRAW.random()
            log(LOG.with_suffix(".asked"), question)
            log(LOG.with_suffix(".models"), asked["model"])
            log(LOG.with_suffix(".stops"), asked.get("stop"))
        for fault, share in FAULTS.items():
            chance -= share
            if chance < 0:
                self.fail(fault, question)
                return
        time.sleep(0.01)
        finish = "length" if question.endswith("cut") else "content_filter" if question.endswith("bad") else "stop"
        if question.endswith("broken"):
            self.reply(200, "no JSON at all")
            return
        self.reply(
            200,
            {
                "id": "1", "object": "chat.completion", "created": 0, "model": asked["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": f"answer to {question}"},
                        "finish_reason": finish,
                    }
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": asked["max_tokens"], "total_tokens": 2},
            },
        )  # fmt: skip
        with LOCK:
            log(LOG, question)

    def fail(self, fault: str, question: str) -> None:
        if fault == "hang":
            time.sleep(3)
        elif fault != "drop":
            self.reply(int(fault), {"error": {"message": f"made to fail with {fault}"}})
            return
        self.close_connection = True


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no news."""


Server(("127.0.0.1", PORT), Handler).serve_forever()
