"""A hub on this machine, for tests of all that asks the hub: repositories with commits and branches, and faults on demand.

It answers what `huggingface_hub` asks: a repository at a revision, whether it is open to a token, its tree, and its files
(HEAD, GET, ranges). It takes pushes, large files apart (LFS), and checks the metadata of cards. Commands that use it are run
in a process of their own, because the library reads the hub's address when it is imported.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?")
ACCESS = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/auth-check")
FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
PUSH = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/(preupload|commit)/main")
LFS_BATCH = re.compile(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
LFS_ENDINGS = (".safetensors", ".bin", ".parquet", ".arrow", ".model")
TOKENS = {"hf_granted": True, "hf_other": False}
"""Tokens that the hub knows, and whether gated repositories are open to them, and it takes their pushes."""
NAME = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass
class Repository:
    """Files by name at each commit, and what branches and tags stand for."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False


@dataclass
class Fault:
    """What goes wrong with requests that fit a pattern over `METHOD /path`, so many times."""

    pattern: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    """The connection ends without an answer."""
    bytes_sent: int | None = None
    """The answer ends after so many bytes of its body."""


class FakeHub(ThreadingHTTPServer):
    """The hub; `asked` lists what was asked of it, as `METHOD /path`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.repositories: dict[str, Repository] = {}
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.large: dict[str, bytes] = {}
        """The large files that were pushed, by their SHA-256."""
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def push(
        self, repository: str, files: Mapping[str, bytes | str], *references: str, gated: bool = False, private: bool = False
    ) -> str:  # fmt: skip
        """Adds a commit to `models/owner/name` or `datasets/owner/name`; returns it. `main` and the references stand for it."""
        held = self.repositories.setdefault(repository, Repository())
        contents = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        commit = hashlib.sha1(repr((repository, len(held.commits), sorted(contents))).encode()).hexdigest()
        held.commits[commit] = contents
        held.references |= dict.fromkeys(("main", *references), commit)
        held.gated, held.private = gated, private
        return commit

    def push_folder(self, repository: str, folder: Path, *references: str, **rights: bool) -> str:
        """Adds the files of a folder as a commit."""
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        return self.push(repository, files, *references, **rights)

    def files(self, repository: str, reference: str = "main") -> dict[str, bytes]:
        """The files of a repository at a branch or a tag."""
        held = self.repositories[repository]
        return held.commits[held.references[reference]]

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a process for which this is the hub, with a cache of this test's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE"))}
        return {
            **kept,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            **more,
        }

    def forget_cache(self) -> None:
        """Empties the cache of this test."""
        shutil.rmtree(self.folder / "hf", ignore_errors=True)

    def qalign(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs the command `qalign` against this hub."""
        return self.python("-m", "qalign", *map(str, arguments), **environment)

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs Python against this hub."""
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment(**environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )


@contextmanager
def fake_hub(folder: Path) -> Iterator[FakeHub]:
    """A hub that answers while the block runs."""
    with FakeHub(folder) as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: FakeHub

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.fault = self._fault(f"{self.command} {path}")
        if self.fault is not None and self.fault.drop:
            self.close_connection = True
            self.connection.close()
        elif self.fault is not None and self.fault.status is not None:
            self._answer(self.fault.status, b"{}", self.fault.headers)
        elif match := FILE.fullmatch(path):
            kind = "datasets" if match[1] else "models"
            self._in_repository(
                kind, match[2], match[3], lambda commit, files: self._file(commit, files, match[4]), True
            )
        elif match := ACCESS.fullmatch(path):
            self._in_repository(match[1], match[2], "main", lambda commit, files: self._json({}), True)
        elif match := API.fullmatch(path):
            kind, name, what, revision, _ = match.groups()
            act = self._tree if what == "tree" else lambda commit, files: self._info(kind, name, commit)
            self._in_repository(kind, name, revision or "main", act, False)
        else:
            self._refuse(404, "", f"no such address: {path}")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self._body()
        self.fault = self._fault(f"{self.command} {path}")
        if self.fault is not None and self.fault.status is not None:
            self._answer(self.fault.status, b"{}", self.fault.headers)
        elif path == "/api/validate-yaml":
            faults = list(faults_of_card(json.loads(body)["content"]))
            told = {"errors": [{"message": fault} for fault in faults], "warnings": []}
            self._answer(400 if faults else 200, json.dumps(told).encode(), {"Content-Type": "application/json"})
        elif not TOKENS.get(self._token()):
            self._refuse(403 if self._token() in TOKENS else 401, "", "this token may not write here")
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
            kind = f"{asked.get('type') or 'model'}s"
            self.server.repositories.setdefault(f"{kind}/{name}", Repository())
            self._json({"url": f"{self.server.url}/{name}", "name": name})
        elif LFS_BATCH.fullmatch(path):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.server.url}/_lfs/{one['oid']}", "header": {}}}}
                for one in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif (match := PUSH.fullmatch(path)) and match[3] == "preupload":
            names = [one["path"] for one in json.loads(body)["files"]]
            modes = {name: "lfs" if name.endswith(LFS_ENDINGS) else "regular" for name in names}
            self._json({"files": [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]})
        elif match:
            self._commit(f"{match[1]}/{match[2]}", [json.loads(line) for line in body.splitlines()])
        else:
            self._refuse(404, "", f"no such address: {path}")

    def do_PUT(self) -> None:
        self.fault, content = None, self._body()
        oid = self.path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.large[oid] = content
        self._json({})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        held = self.server.repositories[name]
        files = dict(held.commits[held.references["main"]]) if held.references else {}
        for value in (line["value"] for line in lines if line["key"] == "file"):
            files[value["path"]] = base64.b64decode(value["content"])
        for value in (line["value"] for line in lines if line["key"] == "lfsFile"):
            files[value["path"]] = self.server.large[value["oid"]]
        commit = self.server.push(name, files)
        url = f"{self.server.url}/{name.partition('/')[2]}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit, "hookOutput": ""})

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()

    def _fault(self, asked: str) -> Fault | None:
        with self.server.lock:
            self.server.asked.append(asked)
            for fault in self.server.faults:
                if fault.times > 0 and re.search(fault.pattern, asked):
                    fault.times -= 1
                    return fault
        return None

    def _in_repository(self, kind: str, name: str, revision: str, act: Any, files_asked: bool) -> None:
        token = self._token()
        if token and token not in TOKENS:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        repository = self.server.repositories.get(f"{kind}/{name}")
        if repository is None or (repository.private and not TOKENS.get(token)):
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        if repository.gated and files_asked and not TOKENS.get(token):
            said = f"Access to {kind[:-1]} {name} is restricted. You must have access to it and be authenticated."
            return self._refuse(403 if token else 401, "GatedRepo", said)
        commit = repository.references.get(unquote(revision), revision)
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return act(commit, repository.commits[commit])

    def _info(self, kind: str, name: str, commit: str) -> None:
        made = "2024-01-01T00:00:00.000Z"
        self._json({
            "_id": "0", "id": name, "modelId": name, "author": name.split("/")[0], "sha": commit, "lastModified": made,
            "createdAt": made, "private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": [],
            "siblings": [],
        })  # fmt: skip

    def _tree(self, commit: str, files: Mapping[str, bytes]) -> None:
        assert parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        self._json([entry(name, content) for name, content in files.items()])

    def _file(self, commit: str, files: Mapping[str, bytes], name: str) -> None:
        if name not in files:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        content = files[name]
        known = entry(name, content)
        headers = {"ETag": f'"{known["oid"]}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if "lfs" in known:
            headers |= {"X-Linked-Etag": f'"{known["lfs"]["oid"]}"', "X-Linked-Size": str(len(content))}
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            first = int(ranged[1])
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            return self._answer(206, content[first:], headers)
        return self._answer(200, content, headers)

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self._answer(status, json.dumps({"error": message}).encode(), headers)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.fault.bytes_sent if self.fault else None
        self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            time.sleep(0.05)
            self.close_connection = True
            self.connection.close()


def entry(name: str, content: bytes) -> dict[str, Any]:
    """What a tree says of a file: large ones have a pointer, and are known by their SHA-256."""
    found: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob(content)}
    if name.endswith(LFS_ENDINGS):
        found["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return found


def faults_of_card(text: str) -> Iterator[str]:
    """What the hub refuses in the metadata of a model's card, as its documentation states it."""
    block = re.match(r"---\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", text, re.DOTALL)
    data = yaml.safe_load(block[1]) if block else None
    if not isinstance(data, dict):
        yield "there is no metadata"
        return

    def listed(key: str) -> list[Any]:
        value = data.get(key, [])
        return value if isinstance(value, list) else [value]

    for key, form in (("base_model", NAME), ("datasets", NAME), ("language", re.compile("[a-z]{2,3}"))):
        yield from (
            f'"{key}" has {one!r}' for one in listed(key) if not isinstance(one, str) or not form.fullmatch(one)
        )
    yield from (f'"metrics" has {one!r}' for one in listed("metrics") if not isinstance(one, str))
    for model in listed("model-index"):
        if not isinstance(model.get("name"), str) or not model.get("results"):
            yield '"model-index" has no name or no results'
        for result in model.get("results", []):
            needed = [result["task"]["type"], *(result["dataset"][key] for key in ("type", "name"))]
            needed += [metric["type"] for metric in result["metrics"]]
            if not all(isinstance(one, str) and one for one in needed):
                yield '"model-index" has a task, a dataset or a metric without type or name'
            if not all(isinstance(metric["value"], int | float) for metric in result["metrics"]):
                yield '"model-index" has a metric without value'


def blob(content: bytes) -> str:
    """The id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
