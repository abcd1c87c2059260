"""Waiting for something to come about. Nothing is judged by how fast it was: the machine may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_SECONDS = 400.0
"""After which a wait has failed."""


def wait_for(what: str, condition: Callable[[], object], pause: float = 0.2) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come about")
        time.sleep(pause)
