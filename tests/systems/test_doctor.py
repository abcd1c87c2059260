"""`qalign doctor`: what it says of machines that lack something, that it is quick, and that it shows no token."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from qalign.systems.doctor import EXTRAS, NEEDED

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from pathlib import Path
from qalign.systems.doctor import examination
print(json.dumps(examination(Path(sys.argv[1])).rows))
"""


def examined(runs: Path, **environment: str) -> dict[str, list[str]]:
    """The rows of the table by what was looked at."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(runs)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )
    assert done.returncode == 0, done.stderr
    return {name: rest for name, *rest in json.loads(done.stdout)}


def test_the_command_answers_and_ends_well(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_TOKEN": "hf_verysecrettoken", "COLUMNS": "80"}
    words = [sys.executable, "-m", "qalign", "doctor", "--runs", str(tmp_path / "new" / "runs")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for name in ("Python", "PyTorch", "Memory", "Extra train", "vLLM", "Sandbox", "Chromium", "Hub token", "Disk"):
        assert name in done.stdout
    assert "verysecret" not in done.stdout and "present" in done.stdout
    assert not (tmp_path / "new").exists()


def test_every_extra_is_looked_at() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"]) - {"all", "bench", "dev", "docs"}
    assert set(NEEDED) <= set(EXTRAS)


def test_what_is_broken_or_missing_has_an_advice(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    (tmp_path / "file").write_text("")
    rows = examined(tmp_path / "file" / "runs", PYTHONPATH=path, PATH=str(tmp_path), HF_TOKEN="", HF_HOME=str(tmp_path))
    assert rows["PyTorch"][0] == "missing" and "libcudart" in rows["PyTorch"][1]
    assert rows["PyTorch"][2] == "pip install 'qalign[train]'"
    assert rows["Chromium"][0] == rows["Sandbox"][0] == "optional"
    assert rows["Hub token"] == ["optional", "none", rows["Hub token"][2]] and "hf auth login" in rows["Hub token"][2]
    assert rows["Disk"][0] == "missing" and "--runs" in rows["Disk"][2]
    assert "HF_HUB_OFFLINE" in rows["Hub"][1]


class Answers(http.server.BaseHTTPRequestHandler):
    """`/slow` is answered after all have gone, `/broken` with a fault."""

    def do_HEAD(self) -> None:
        if self.path == "/slow":
            time.sleep(8)
        self.send_response(503 if self.path == "/broken" else 401)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.mark.parametrize(
    ("address", "state", "said"),
    [
        ("{}", "ok", "127.0.0.1 answers"),
        ("{}/broken", "missing", "status 503"),
        ("{}/slow", "missing", "3 seconds"),
        ("http://127.0.0.1:1", "missing", "refused"),
        ("file:///etc/passwd", "missing", "not a web address"),
    ],
)
def test_the_hub_is_asked_once_and_not_for_long(
    server: str, tmp_path: Path, address: str, state: str, said: str
) -> None:
    rows = examined(tmp_path, HF_HUB_OFFLINE="0", HF_ENDPOINT=address.format(server))
    assert rows["Hub"][0] == state and (said in rows["Hub"][1] or "timed out" in rows["Hub"][1])
