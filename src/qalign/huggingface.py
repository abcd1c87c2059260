"""The Hugging Face hub: the commit of a branch, the files at a commit, and what is the matter where it does not answer.

Faults that pass (rate limits, failing servers, dropped connections) are tried again, with growing waits. The library
`huggingface_hub` does so for some requests only: never for the one that asks for a revision.
"""

from __future__ import annotations

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from .errors import DataError, ModelError
from .terminal import log
from .untrusted import printable

WAITS = (1, 2, 4, 8, 16)
"""Seconds before each further try; longer where the hub asks for it."""
LONGEST_WAIT = 330
"""Seconds that the hub may ask to wait: its limits are counted over five minutes."""
LIBRARY_TRIES = 20
"""A try that fails after more seconds was tried again by the library already."""
SECONDS_PER_ANSWER = 20
PASSING = (408, 429, 500, 502, 503, 504)
COMMIT = re.compile(r"[0-9a-f]{40}")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Repository:
    """A model or a dataset on the hub."""

    kind: Literal["model", "dataset"]
    name: str
    """`owner/name`."""

    @property
    def page(self) -> str:
        """Where its conditions are accepted."""
        return f"https://huggingface.co/{'datasets/' if self.kind == 'dataset' else ''}{self.name}"

    @property
    def instead(self) -> str:
        """What to give where the hub does not have it."""
        if self.kind == "model":
            return "give a folder"
        return "give it as local files, by path or in a data folder (--data)"

    @property
    def error(self) -> type[DataError] | type[ModelError]:
        """The kind of error that is raised about it."""
        return ModelError if self.kind == "model" else DataError


def commit_of(repository: Repository, revision: str | None) -> str:
    """The commit that a branch, a tag or (None) the newest state stands for: the hub's word, or the cache's where the hub
    cannot be reached. A hub that no connection can be made to is asked once: nothing has begun yet.

    Raises:
        DataError, ModelError: neither knows it.
    """
    cached = cached_commit(repository, revision or "main")
    try:
        from huggingface_hub import HfApi

        asked = functools.partial(
            HfApi().repo_info,
            repository.name,
            repo_type=repository.kind,
            revision=revision,
            timeout=SECONDS_PER_ANSWER,
        )
        commit = str(_patiently(repository, lambda: asked().sha, once=True))
    except Exception as error:  # the hub's client raises many kinds; all mean that the commit cannot be had
        if cached is not None and is_unreachable(error):
            reason = why(error, repository).partition(":")[0]
            log(f"qalign: {reason}; {repository.name} is taken from the cache, at {cached}")
            return cached
        named = f"{repository.name}@{revision}" if revision else repository.name
        raise repository.error(f"{printable(named)}: no commit of it is known, and {why(error, repository)}") from error
    if not COMMIT.fullmatch(commit):
        raise repository.error(f"{repository.name}: the hub states no commit, only '{printable(commit)[:80]}'")
    _remember_reference(repository, revision or "main", commit)
    return commit


def cached_commit(repository: Repository, reference: str) -> str | None:
    """The commit that a branch or tag had when it was last fetched, if the files at that commit are in the cache."""
    folder = _cache(repository)
    try:
        commit = (folder / "refs" / reference).read_text(encoding="utf-8").strip() if folder else ""
    except (OSError, ValueError):
        return None
    return commit if folder and COMMIT.fullmatch(commit) and (folder / "snapshots" / commit).is_dir() else None


def fetch(repository: Repository, commit: str, patterns: Sequence[str]) -> Path:
    """The folder of the files that fit the patterns, at a commit: from the cache, or from the hub.

    Raises:
        DataError, ModelError: they cannot be had.
    """
    try:
        from huggingface_hub import snapshot_download

        get = functools.partial(
            snapshot_download,
            repository.name,
            repo_type=repository.kind,
            revision=commit,
            allow_patterns=list(patterns),
        )
        return Path(_patiently(repository, get))
    except Exception as error:  # the hub's client raises many kinds; all mean that the files cannot be had
        raise repository.error(f"{printable(repository.name)}@{commit}: {why(error, repository)}") from error


def cached_folder(repository: Repository, commit: str) -> Path | None:
    """The folder of the files that were fetched at a commit; None if there is none."""
    folder = _cache(repository)
    snapshot = folder / "snapshots" / commit if folder else None
    return snapshot if snapshot is not None and snapshot.is_dir() else None


def refusal(repository: Repository, commit: str) -> str | None:
    """Why files at a commit could not be fetched; None if they could be, or are in the cache. Asks the hub once.

    A fault that may have passed when the files are fetched is none.
    """
    if cached_folder(repository, commit) is not None:
        return None
    try:
        from huggingface_hub import HfApi

        _set_client()
        HfApi().auth_check(repository.name, repo_type=repository.kind)
    except Exception as error:  # the hub's client raises many kinds
        said = _kinds(error) & {"ImportError", "GatedRepoError", "RepositoryNotFoundError"} or is_unreachable(error)
        return why(error, repository) if said and _status(error) not in PASSING else None
    return None


def why(error: BaseException, repository: Repository) -> str:
    """What is the matter, and what to do, in a sentence: from the error and its causes."""
    kinds, said = _kinds(error), printable(_one_line(error))
    status = _status(error)
    login = "log in with `hf auth login` (or set HF_TOKEN)"
    if "ImportError" in kinds:
        return "it needs huggingface-hub: install what reads it: pip install 'qalign[data]'"
    if "GatedRepoError" in kinds:
        return f"its conditions must be accepted at {repository.page}; then {login}, or {repository.instead}"
    if status == 401 and any("Invalid credentials" in str(one) for one in _chain(error)):
        return "the hub does not know the token that was sent: log in anew with `hf auth login`, or set HF_TOKEN anew"
    if "RevisionNotFoundError" in kinds:
        return f"the hub has no such revision; ask for one that {repository.name} has (NAME@REVISION)"
    if status == 429:
        seconds = _asked_to_wait(error)
        wait = f"wait {seconds:g} seconds" if seconds else "wait some minutes"
        return (
            f"the hub takes no more requests for now (429, too many): {wait} and run it again, set HF_TOKEN for a higher "
            f"limit, or {repository.instead}"
        )
    if status in PASSING:
        return f"the hub fails (status {status}) and went on failing: run it again later, or {repository.instead}"
    # Before "not found": a file that is neither fetched nor in the cache counts as both.
    if "OfflineModeIsEnabled" in kinds:
        return f"the hub cannot be reached (HF_HUB_OFFLINE is set) and the cache lacks it: go online, or {repository.instead}"
    if is_unreachable(error):
        return f"the hub cannot be reached ({said}): go online, or {repository.instead}"
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError", "EntryNotFoundError"} or status in (401, 403, 404):
        return f"the hub does not have it, or not for you: check the name, {login}, or {repository.instead}"
    return f"it cannot be fetched ({said}): check the name, or {repository.instead}"


def is_unreachable(error: BaseException) -> bool:
    """Whether an error says that there is no network, that the hub is down, or that the cache lacks what only it has."""
    unreachable = {"OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError", "TransportError"}
    return bool(_kinds(error) & unreachable) or _status(error) in PASSING


def is_out_of_reach(error: BaseException) -> bool:
    """Whether an error says that the hub, or the library that asks it, is not there; not that a name is wrong."""
    return is_unreachable(error) or "ImportError" in _kinds(error)


def _patiently(repository: Repository, call: Callable[[], Result], *, once: bool = False) -> Result:
    """What `call` returns; faults that pass are tried again, each with a line on stderr. With `once`, a hub that no
    connection can be made to is not waited for."""
    _set_client()
    waits, fetched, tried = list(WAITS), _bytes_fetched(repository), 0.0
    while True:
        begun = time.monotonic()
        try:
            return call()
        except Exception as error:
            tried += time.monotonic() - begun
            if (more := _bytes_fetched(repository)) > fetched:  # it went on: the tries begin anew
                waits, fetched, tried = list(WAITS), more, 0.0
            asked = _asked_to_wait(error) or 0.0
            stop = (
                tried > LIBRARY_TRIES
                or asked > LONGEST_WAIT
                or (once and bool({"ConnectError", "ConnectTimeout"} & _kinds(error)))
            )
            if stop or not waits or not _passes(error):
                raise
            seconds = max(waits.pop(0), asked)
            log(f"qalign: {repository.name}: {_fault(error)}; trying again in {seconds:g} seconds")
            time.sleep(seconds)


def _passes(error: BaseException) -> bool:
    """Whether a fault may be gone at the next try."""
    kinds = _kinds(error)
    if "OfflineModeIsEnabled" in kinds:
        return False
    dropped = {"TimeoutException", "NetworkError", "RemoteProtocolError", "ConnectionError"}
    return _status(error) in PASSING or bool(kinds & dropped) or "Consistency check failed" in str(error)


def _fault(error: BaseException) -> str:
    """A passing fault in a few words."""
    status = _status(error)
    if status == 429:
        return "the hub takes no more requests for now (429)"
    return f"the hub fails ({status})" if status else f"no whole answer of the hub ({printable(_one_line(error))})"


def _status(error: BaseException) -> int | None:
    """The status of the answer that an error or one of its causes is about."""
    return next((int(response.status_code) for response in _responses(error)), None)


def _asked_to_wait(error: BaseException) -> float | None:
    """The seconds that the hub asks to wait, if it does."""
    waits = (_seconds_to_wait(response.headers) for response in _responses(error))
    return next((wait for wait in waits if wait is not None), None)


def _responses(error: BaseException) -> Iterator[Any]:
    """The answers of the hub that an error and its causes are about."""
    responses = (getattr(one, "response", None) for one in _chain(error))
    return (response for response in responses if response is not None)


def _seconds_to_wait(headers: Any) -> float | None:
    """Seconds by `Retry-After` (a number or a date) or by the hub's own `RateLimit: "api";r=0;t=SECONDS`."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d*)?", text):
        return float(text)
    try:
        if text:
            date = parsedate_to_datetime(text)
            return max(0.0, (date - datetime.now(UTC if date.tzinfo else None)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        pass  # neither a number nor a date: as if it said nothing
    limit = re.search(r"\br=0;\s*t=(\d{1,9})\b", headers.get("RateLimit", ""))
    return float(limit[1]) if limit else None


class _LongWait(Exception):
    """The hub asks for a wait that is too long, which its library would sleep through."""

    def __init__(self, response: Any) -> None:
        super().__init__("the hub asks for too long a wait")
        self.response = response


def _refuse_long_wait(response: Any) -> None:
    if response.status_code in PASSING and (_seconds_to_wait(response.headers) or 0) > LONGEST_WAIT:
        raise _LongWait(response)


@functools.cache
def _set_client() -> None:
    """Bounds how long the library waits: by itself it waits without end for an answer, and for as long as the hub asks."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def bounded() -> Any:
        client = default_client_factory()
        client.timeout = SECONDS_PER_ANSWER
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "response": [*hooks.get("response", []), _refuse_long_wait]}
        return client

    set_client_factory(bounded)


def _cache(repository: Repository) -> Path | None:
    """The folder of a repository in the cache of the hub's library; None where the library is not installed."""
    try:
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name
    except ImportError:
        return None
    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repository.name, repo_type=repository.kind))


def _remember_reference(repository: Repository, reference: str, commit: str) -> None:
    """Notes a branch's commit in the cache, as the library does when it fetches a branch, for times without a network."""
    folder = _cache(repository)
    try:
        from huggingface_hub.file_download import _cache_commit_hash_for_specific_revision as note

        note(str(folder), reference, commit)
    except (ImportError, OSError):
        pass  # the cache cannot be written, or the library does it otherwise: only the note is lacking


def _bytes_fetched(repository: Repository) -> int:
    """The size of all that the cache has of a repository, files under way included."""
    folder, total = _cache(repository), 0
    for path in (folder / "blobs").glob("*") if folder else ():
        with contextlib.suppress(OSError):  # another process may have moved it to its place
            total += path.stat().st_size
    return total


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and its causes."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
