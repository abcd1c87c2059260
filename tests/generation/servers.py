"""Servers on loopback: a free port, starting one there, and waiting for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Serve = Callable[..., subprocess.Popen[bytes]]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")


@contextmanager
def starting(port: int) -> Iterator[Serve]:
    """Starts Python with the words of a server's command; all that were started are killed in the end."""
    with ExitStack() as started:

        def one(*words: str, wait: bool = True, **options: Any) -> subprocess.Popen[bytes]:
            server = subprocess.Popen([sys.executable, *words], **options)
            started.callback(server.wait)
            started.callback(server.kill)
            if wait:
                wait_for(port)
            return server

        yield one
