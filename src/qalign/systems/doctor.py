"""What this machine has for a study, and what to do about the rest: Python, devices, memory, extras, programs, hub, disk."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from .. import __version__
from ..resources import GPU_DRIVERS, cores, memory
from ..results.tables import Table
from ..wording import in_bytes

SECONDS_FOR_HUB = 3
SECONDS_FOR_TORCH = 30
"""Importing torch takes seconds where a disk is cold."""
EXTRAS = {
    "train": "training, generation and tests of significance",
    "data": "corpora of the hub and Parquet files",
    "report": "figures and the page of results",
    "fast": "faster tokenization",
    "lora": "low-rank adapters",
    "8bit": "8-bit optimizer states",
    "endpoint": "answers from a server",
    "track": "curves in TensorBoard",
    "languages": "the languages of answers",
}
"""Each extra of this package and what it is for."""
NEEDED = ("train", "data", "report")
"""Extras without which most studies do not run to the end."""
PROGRAMS = {
    "Sandbox": (("bwrap",), "No verb needs it. It can isolate recipes and models that you do not trust."),
    "Chromium": (("chromium", "chromium-browser", "google-chrome"), "Only the tests of the page need it."),
}
"""Programs that are of use, by the names they may have, and what without them."""
TORCH = """
import json, torch
cuda = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
print(json.dumps({
    "version": torch.__version__, "cuda": [[one.name, one.total_memory] for one in cuda],
    "bfloat16": bool(cuda) and torch.cuda.is_bf16_supported(), "mps": torch.backends.mps.is_available(),
}))
"""
"""Looked at in a process of its own: a broken installation or a driver that hangs ends that process only."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """What was looked at."""
    state: Literal["ok", "missing", "optional"]
    """`optional` is what is not there and not needed by most."""
    found: str
    """What there is."""
    advice: str = ""
    """What to do about it."""


def examination(runs: Path) -> Table:
    """A table of all that was looked at. It takes a few seconds, most of them for torch."""
    with ThreadPoolExecutor() as pool:
        devices, hub = pool.submit(lambda: list(_devices())), pool.submit(lambda: list(_hub()))
        findings = [*_python(), *devices.result(), *_resources(), *_extras(), *_programs(), *hub.result(), _disk(runs)]
    rows = [[one.name, one.state, one.found, one.advice or "-"] for one in findings]
    return Table("What this machine has", ["what", "state", "found", "what to do"], rows)


def _python() -> Iterator[Finding]:
    yield Finding("qalign", "ok", __version__)
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _devices() -> Iterator[Finding]:
    """PyTorch, and the devices that it can use."""
    advice = "pip install 'qalign[train]'"
    try:
        done = subprocess.run(
            [sys.executable, "-c", TORCH], capture_output=True, text=True, timeout=SECONDS_FOR_TORCH, errors="replace",
            env={**os.environ, "PYTHONSAFEPATH": "1"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        seen = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout else None
        last = (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        seen, last = None, f"no answer within {SECONDS_FOR_TORCH} seconds"
        advice = "see whether the driver of the GPU answers (nvidia-smi)"
    except ValueError:
        seen, last = None, "an answer that cannot be read"
    if seen is None:
        yield Finding("PyTorch", "missing", last[:200], advice)
        return
    yield Finding("PyTorch", "ok", str(seen["version"]))
    for number, (name, size) in enumerate(seen["cuda"]):
        precision = "" if seen["bfloat16"] else ", no bfloat16"
        advice = "" if seen["bfloat16"] else "--set training.precision=float32 --set generation.precision=float32"
        yield Finding(f"GPU {number}", "ok", f"{name}, {in_bytes(size)}{precision}", advice)
    if seen["mps"]:
        yield Finding("GPU", "ok", "Apple's, by way of MPS; it shares the memory of the machine")
    if not seen["cuda"] and not seen["mps"]:
        if any(Path(driver).exists() for driver in GPU_DRIVERS) and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
            advice = "install a PyTorch that fits the driver: https://pytorch.org/get-started/locally"
            yield Finding("GPU", "missing", "a driver, but PyTorch sees no device", advice)
        else:
            advice = "a CPU is enough for `qalign demo` and --scale sample; a 7B model needs a GPU"
            yield Finding("GPU", "optional", "none", advice)


def _resources() -> Iterator[Finding]:
    yield Finding("CPU cores", "ok", f"{cores()} for this process, {os.cpu_count()} in the machine")
    yield Finding("Memory", "ok", f"{in_bytes(memory())} for this process")


def _extras() -> Iterator[Finding]:
    """The extras of this package, and vLLM."""
    packages: dict[str, list[str]] = {extra: [] for extra in EXTRAS}
    for requirement in _requirements():
        match = re.match(r"([\w.-]+)[^;]*;.*extra == ['\"]([\w-]+)['\"]", requirement)
        if match and match[2] in packages:
            packages[match[2]].append(match[1])
    for extra, purpose in EXTRAS.items():
        lacking = [package for package in packages[extra] if _version(package) is None]
        if lacking:
            state: Literal["missing", "optional"] = "missing" if extra in NEEDED else "optional"
            advice = f"pip install 'qalign[{extra}]' for {purpose}"
            yield Finding(f"Extra {extra}", state, f"no {', '.join(lacking)}", advice)
        else:
            yield Finding(f"Extra {extra}", "ok", purpose)
    version = _version("vllm")
    if version is not None:
        yield Finding("vLLM", "ok", version)
    else:
        advice = "pip install vllm, then --set generation.backend=vllm, for fast generation on a GPU"
        yield Finding("vLLM", "optional", "none", advice)


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("qalign") or []
    except importlib.metadata.PackageNotFoundError:  # a source tree that is not installed
        return []


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _programs() -> Iterator[Finding]:
    for name, (programs, without) in PROGRAMS.items():
        paths = [path for program in programs if (path := shutil.which(program)) is not None]
        if paths:
            yield Finding(name, "ok", paths[0])
        else:
            yield Finding(name, "optional", f"no {programs[0]}", without)


def _hub() -> Iterator[Finding]:
    """Whether the hub answers, and whether there is a token, which is never shown."""
    try:
        from huggingface_hub import constants, get_token
    except ImportError:
        yield Finding("Hub", "missing", "no huggingface-hub", "pip install 'qalign[data]'")
        return
    host = urlsplit(constants.ENDPOINT).hostname or "huggingface.co"
    if constants.HF_HUB_OFFLINE:
        advice = "unset HF_HUB_OFFLINE to fetch models and data"
        yield Finding("Hub", "optional", "offline, as HF_HUB_OFFLINE says; only the cache is used", advice)
    elif (answer := _answer(constants.ENDPOINT)) is None:
        yield Finding("Hub", "ok", f"{host} answers")
    else:
        advice = "see to the network or a proxy (HTTPS_PROXY), or give models and data as local folders"
        yield Finding("Hub", "missing", f"{host}: {answer}", advice)
    if get_token():
        yield Finding("Hub token", "ok", "present")
    else:
        yield Finding("Hub token", "optional", "none", "run `hf auth login`; gated models such as Llama 2 need it")


def _answer(address: str) -> str | None:
    """Why an address does not answer; None if it does. Name servers too are waited for `SECONDS_FOR_HUB` only."""
    problems: list[str | None] = []

    def ask() -> None:
        try:
            if urlsplit(address).scheme not in ("http", "https"):
                raise ValueError("HF_ENDPOINT is not a web address")
            request = urllib.request.Request(address, method="HEAD")
            with urllib.request.urlopen(request, timeout=SECONDS_FOR_HUB):
                problems.append(None)
        except urllib.error.HTTPError as error:
            problems.append(f"answers with status {error.code}" if error.code >= 500 else None)
        except (OSError, ValueError) as error:
            problems.append(str(getattr(error, "reason", error))[:200])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS_FOR_HUB + 0.5)
    return problems[0] if problems else f"no answer within {SECONDS_FOR_HUB} seconds"


def _disk(runs: Path) -> Finding:
    """The disk that holds the runs."""
    folder = runs.absolute()
    while not folder.exists():
        folder = folder.parent
    free = in_bytes(shutil.disk_usage(folder).free)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return Finding("Disk", "missing", f"{folder} cannot be written to", "choose another folder with --runs")
    return Finding("Disk", "ok", f"{free} free for runs", "`qalign plan` says what a run takes")
