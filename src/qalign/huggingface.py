"""The Hugging Face hub: the commit of a branch, recorded; files at a commit; faults.

A file `revisions.json` maps `owner/name` of a dataset or `model:owner/name`, with `@REVISION` where one was asked for, to the
commit of the first use. Temporary faults are retried with growing waits. The library `huggingface_hub` does so for some
requests only, and never for that of a revision.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from .errors import DataError, ModelError, QAlignError
from .fingerprints import is_first_look
from .records import write_json
from .terminal import log
from .untrusted import one_line, parse_json, printable

WAITS = (1, 2, 4, 8, 16)
"""Seconds before each further try; longer where the hub asks for it."""
LONGEST_WAIT = 330
"""Seconds that the hub may ask to wait: its limits are counted over five minutes."""
LIBRARY_TRIES = 20
"""A try that fails after more seconds was tried again by the library already."""
SECONDS_PER_ANSWER = 20
PASSING = (408, 429, 500, 502, 503, 504)
COMMIT = re.compile(r"[0-9a-f]{40}")
REVISIONS = "revisions.json"
UNKNOWN = "unknown"
"""The commit of an unreachable repository in a plan."""
LOGIN = "log in with `hf auth login` (or set HF_TOKEN)"

Result = TypeVar("Result")
_TOLERATED: ContextVar[dict[str, QAlignError] | None] = ContextVar("tolerated", default=None)


@dataclass(frozen=True, slots=True)
class Repository:
    """A model or a dataset on the hub."""

    kind: Literal["model", "dataset"]
    name: str
    """`owner/name`."""
    role: str = field(default="", compare=False)
    """Of a dataset: what a run reads it for."""

    @property
    def instead(self) -> str:
        """The advice where the hub does not have it."""
        if self.kind == "model":
            return "give a folder"
        option = "multilingual" if self.role == "answers" else self.role
        own = f"your own data by path (--{option} PATH in a run)" if option else "it as local files, by path"
        return f"give {own}, or local copies of the corpora (--data DIR)"

    @property
    def error(self) -> type[DataError] | type[ModelError]:
        """The kind of error raised about it."""
        return ModelError if self.kind == "model" else DataError


def commit_of(repository: Repository, revision: str | None) -> str:
    """The commit of a branch, of a tag, or for None the newest, from hub or cache.

    Raises DataError or ModelError if neither knows it.
    """
    cached = cached_commit(repository, revision or "main")
    try:
        from huggingface_hub import HfApi

        options = {"repo_type": repository.kind, "revision": revision, "timeout": SECONDS_PER_ANSWER}
        commit = _patiently(repository, lambda: str(HfApi().repo_info(repository.name, **options).sha), once=True)
    except Exception as error:  # the hub's client raises many kinds; all mean that the commit cannot be had
        if cached is not None and _Fault(error).is_unreachable:
            reason = why(error, repository).partition(":")[0]
            log(f"qalign: {reason}; {repository.name} is taken from the cache, at {cached}")
            return cached
        named = f"{repository.name}@{revision}" if revision else repository.name
        raise repository.error(f"{printable(named)}: no commit of it is known, and {why(error, repository)}") from error
    if not COMMIT.fullmatch(commit):
        raise repository.error(f"{repository.name}: the hub states no commit, only '{printable(commit)[:80]}'")
    with suppress(ImportError, OSError):  # read-only cache or another library: only this note is lost
        from huggingface_hub.file_download import _cache_commit_hash_for_specific_revision as note

        note(str(_cache(repository)), revision or "main", commit)  # as the library does on download
    return commit


def cached_commit(repository: Repository, reference: str) -> str | None:
    """The commit of a branch or tag when last downloaded, if its files are cached."""
    folder = _cache(repository)
    try:
        commit = (folder / "refs" / reference).read_text(encoding="utf-8").strip() if folder else ""
    except (OSError, ValueError):
        return None
    return commit if COMMIT.fullmatch(commit) and cached_folder(repository, commit) else None


def cached_folder(repository: Repository, commit: str) -> Path | None:
    """The folder of the files downloaded at a commit, or None."""
    folder = _cache(repository)
    return folder / "snapshots" / commit if folder and (folder / "snapshots" / commit).is_dir() else None


def fetch(repository: Repository, commit: str, patterns: Sequence[str]) -> Path:
    """The folder of files that match patterns, from cache or hub. Raises DataError or ModelError without them."""
    try:
        from huggingface_hub import snapshot_download

        options = {"repo_type": repository.kind, "revision": commit, "allow_patterns": list(patterns)}
        return Path(_patiently(repository, lambda: snapshot_download(repository.name, **options)))
    except Exception as error:  # the hub's client raises many kinds; all mean that the files cannot be had
        raise repository.error(f"{printable(repository.name)}@{commit}: {why(error, repository)}") from error


def refusal(repository: Repository, commit: str) -> str | None:
    """Why files at a commit are unavailable for good. None if they are not."""
    if cached_folder(repository, commit) is not None:
        return None
    try:
        from huggingface_hub import HfApi

        _set_client()
        HfApi().auth_check(repository.name, repo_type=repository.kind)
    except Exception as error:  # the hub's client raises many kinds
        fault = _Fault(error)
        lasting = fault.kinds & {"GatedRepoError", "RepositoryNotFoundError"} or fault.is_out_of_reach
        return why(error, repository) if lasting and fault.status not in PASSING else None
    return None


class _Fault:
    """What an error of the hub's client says, with its causes."""

    def __init__(self, error: BaseException) -> None:
        causes: list[BaseException] = []
        current: BaseException | None = error
        while current is not None:
            causes.append(current)
            current = current.__cause__ or current.__context__
        self.text = " ".join(map(str, causes))
        self.message = one_line(error)
        self.kinds = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
        responses = [one for cause in causes if (one := getattr(cause, "response", None)) is not None]
        self.status = int(responses[0].status_code) if responses else None
        waits = (_seconds_to_wait(response.headers) for response in responses)
        self.wait = next((wait for wait in waits if wait is not None), 0.0)
        """The seconds that the hub asks to wait, or 0."""

    @property
    def is_unreachable(self) -> bool:
        """Whether there is no network, no hub, or nothing in the cache."""
        unreachable = {"OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "TransportError"}
        return bool(self.kinds & unreachable) or self.status in PASSING

    @property
    def is_out_of_reach(self) -> bool:
        """Whether the hub or its library is missing, as opposed to a wrong name."""
        return self.is_unreachable or "ImportError" in self.kinds

    @property
    def passes(self) -> bool:
        """Whether it may be gone at the next try."""
        dropped = {"TimeoutException", "NetworkError", "RemoteProtocolError", "ConnectionError"}
        passing = self.status in PASSING or self.kinds & dropped or "Consistency check failed" in self.message
        return bool(passing) and "OfflineModeIsEnabled" not in self.kinds

    def __str__(self) -> str:
        if self.status == 429:
            return "the hub takes no more requests for now (429)"
        return f"the hub fails ({self.status})" if self.status else f"no whole answer of the hub ({self.message})"


def why(error: BaseException, repository: Repository) -> str:
    """The fault and what to do, in a sentence, from the error and its causes."""
    fault = _Fault(error)
    if "ImportError" in fault.kinds:
        return "it needs huggingface-hub: install what reads it: pip install 'qalign[data]'"
    if "GatedRepoError" in fault.kinds:
        page = f"https://huggingface.co/{'datasets/' if repository.kind == 'dataset' else ''}{repository.name}"
        return f"its conditions must be accepted at {page}; then {LOGIN}, or {repository.instead}"
    if fault.status == 401 and "Invalid credentials" in fault.text:
        return f"the hub does not know the token that was sent: {LOGIN} anew"
    if "RevisionNotFoundError" in fault.kinds:
        return f"the hub has no such revision; ask for one that {repository.name} has (NAME@REVISION)"
    if fault.status in PASSING:
        wait = f"wait {fault.wait:g} seconds" if fault.wait else "wait some minutes"
        more = ", set HF_TOKEN for a higher limit" if fault.status == 429 else ""
        return f"{fault} and went on failing: {wait} and run it again{more}, or {repository.instead}"
    # Before "not found": a file that is neither fetched nor in the cache counts as both.
    if fault.is_unreachable:
        offline = "OfflineModeIsEnabled" in fault.kinds
        reason = "HF_HUB_OFFLINE is set) and the cache lacks it" if offline else f"{fault.message})"
        return f"the hub cannot be reached ({reason}: go online, or {repository.instead}"
    missing = {"RepositoryNotFoundError", "DatasetNotFoundError", "EntryNotFoundError"}
    if fault.kinds & missing or fault.status in (401, 403, 404):
        return f"the hub does not have it, or not for you: check the name, {LOGIN}, or {repository.instead}"
    return f"it cannot be fetched ({fault.message}): check the name, or {repository.instead}"


def _patiently(repository: Repository, call: Callable[[], Result], *, once: bool = False) -> Result:
    """The result of `call`, tried again after temporary faults. With `once` an unreachable hub is not waited for."""
    _set_client()
    waits, fetched, tried = list(WAITS), _bytes_fetched(repository), 0.0
    while True:
        started = time.monotonic()
        try:
            return call()
        except Exception as error:
            fault = _Fault(error)
            tried += time.monotonic() - started
            if (more := _bytes_fetched(repository)) > fetched:  # progress resets the tries
                waits, fetched, tried = list(WAITS), more, 0.0
            gone = once and bool({"ConnectError", "ConnectTimeout"} & fault.kinds)
            if gone or tried > LIBRARY_TRIES or fault.wait > LONGEST_WAIT or not waits or not fault.passes:
                raise
            seconds = max(waits.pop(0), fault.wait)
            log(f"qalign: {repository.name}: {fault}; trying again in {seconds:g} seconds")
            time.sleep(seconds)


@contextmanager
def hub_out_of_reach_allowed() -> Iterator[dict[str, QAlignError]]:
    """Within it the commit is `UNKNOWN` where the hub is out of reach. Yields the errors that say so, by name."""
    found: dict[str, QAlignError] = {}
    token = _TOLERATED.set(found)
    try:
        yield found
    finally:
        _TOLERATED.reset(token)


def resolve(repository: Repository, asked: str | None, record: Path) -> str:
    """The commit to read: a full commit as asked, else the recorded one, or that of the hub, which is then recorded.

    `asked` is a branch, a tag or a commit, or None for the newest. Raises DataError or ModelError if the record is broken, or
    the hub does not know the revision.
    """
    from filelock import FileLock

    if asked and COMMIT.fullmatch(asked.lower()):
        return asked.lower()
    if is_first_look():
        return UNKNOWN
    key = ("model:" if repository.kind == "model" else "") + repository.name + (f"@{asked}" if asked else "")
    try:
        known = _read_record(record)
        if key not in known:
            commit = commit_of(repository, asked)
            record.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(record.with_name(f".{record.name}.lock")):
                known = {key: commit, **_read_record(record)}  # another run may have been first
                write_json(record, dict(sorted(known.items())))
        return known[key]
    except QAlignError as error:
        tolerated = _TOLERATED.get()
        if tolerated is not None and _Fault(error).is_out_of_reach:
            tolerated[repository.name] = error
            return UNKNOWN
        raise repository.error(str(error)) from error


def _read_record(record: Path) -> dict[str, str]:
    """The recorded commits. Raises DataError if the file is not a record of commits."""
    try:
        known = parse_json(record.read_bytes(), str(record))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataError(f"{record} cannot be read ({error.strerror}); see to it, or remove it") from error
    if not isinstance(known, dict):
        raise DataError(f"{record} is not a record of revisions (a JSON object of names and commits): remove it")
    for name, commit in known.items():
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            line = f"'{printable(name)[:80]}' has {printable(str(commit))[:80]!r}, not a commit (40 hexadecimal digits)"
            raise DataError(f"{record} is not a record of revisions: {line}: remove its line")
    return known


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds by `Retry-After`, or by the hub's `RateLimit: "api";r=0;t=SECONDS`."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d*)?", text):
        return float(text)
    with suppress(ValueError, TypeError, OverflowError):  # not a date either
        date = parsedate_to_datetime(text)
        return max(0.0, (date - datetime.now(UTC if date.tzinfo else None)).total_seconds())
    limit = re.search(r"\br=0;\s*t=(\d{1,9})\b", headers.get("RateLimit", ""))
    return float(limit[1]) if limit else None


class _LongWait(Exception):
    """The hub asks for a long wait, during which its library would sleep."""

    def __init__(self, response: Any) -> None:
        super().__init__("the hub asks for too long a wait")
        self.response = response


def _refuse_long_wait(response: Any) -> None:
    if response.status_code in PASSING and (_seconds_to_wait(response.headers) or 0) > LONGEST_WAIT:
        raise _LongWait(response)


@functools.cache
def _set_client() -> None:
    """Limits how long the library waits, which else is forever."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def bounded() -> object:
        client = default_client_factory()
        client.timeout = SECONDS_PER_ANSWER
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "response": [*hooks.get("response", []), _refuse_long_wait]}
        return client

    set_client_factory(bounded)


def _cache(repository: Repository) -> Path | None:
    """The cache folder of a repository. None without the hub's library."""
    try:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name
    except ImportError:
        return None
    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repository.name, repo_type=repository.kind))


def _bytes_fetched(repository: Repository) -> int:
    """The size of a repository in the cache, with unfinished downloads."""
    folder, total = _cache(repository), 0
    for path in (folder / "blobs").glob("*") if folder else ():
        with suppress(OSError):  # another process may have moved it to its place
            total += path.stat().st_size
    return total
