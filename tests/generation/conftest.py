"""What the tests of backends share: a port, and a real server on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from servers import Serve, free_port, wait_for

from qalign.systems.bases import WORLD_FOLDER


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def serve(port: int) -> Iterator[Serve]:
    """Starts `transformers serve`; all that were started are killed in the end."""
    pytest.importorskip("fastapi", reason="a server needs fastapi: pip install 'qalign[dev]'")
    pytest.importorskip("uvicorn", reason="a server needs uvicorn: pip install 'qalign[dev]'")
    with ExitStack() as started:

        def one(wait: bool = True) -> subprocess.Popen[bytes]:
            command = [
                sys.executable, "-c", "from transformers.cli.transformers import main; main()",
                "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
            ]  # fmt: skip
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started.callback(server.wait)
            started.callback(server.kill)
            if wait:
                wait_for(port)
            return server

        yield one


@pytest.fixture
def serve_tokens(port: int, tmp_path: Path) -> Iterator[Serve]:
    """Starts `token_server.py` with the base of the world; all that were started are killed in the end."""
    with ExitStack() as started:

        def one(kind: str = "tokens") -> subprocess.Popen[bytes]:
            script = Path(__file__).with_name("token_server.py")
            command = [sys.executable, str(script), str(port), str(WORLD_FOLDER), str(tmp_path / "prompts"), kind]
            server = subprocess.Popen(command)
            started.callback(server.wait)
            started.callback(server.kill)
            wait_for(port)
            return server

        yield one
