"""What this machine has for a study, and what to do about the rest: Python, devices, memory, extras, programs, hub, disk."""

from __future__ import annotations

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
from importlib.metadata import distributions
from pathlib import Path
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
    "slurm": "stages as jobs of Slurm",
    "ray": "stages as jobs of Ray",
}
"""Each extra of this package and what it is for."""
NEEDED = ("train", "data", "report")
"""Extras without which most studies do not run to the end."""
PROGRAMS = {
    "Sandbox": (
        ("bwrap",),
        "Programs that models write run in it. Without it those beyond plain arithmetic are refused.",
    ),
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
Row = tuple[str, str, str, str]
"""What was looked at, `ok`, `missing` or `optional`, what there is, and what to do about it."""


def examination(runs: Path) -> Table:
    """A table of all that was looked at. It takes a few seconds, most of them for torch."""
    with ThreadPoolExecutor() as pool:
        devices, hub = pool.submit(lambda: list(_devices())), pool.submit(lambda: list(_hub()))
        rows = [
            _row("qalign", __version__),
            _row("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
            *devices.result(),
            _row("CPU cores", f"{cores()} for this process, {os.cpu_count()} in the machine"),
            _row("Memory", f"{in_bytes(memory())} for this process"),
            *_packages_and_programs(),
            *hub.result(),
            _disk(runs),
        ]
    return Table("What this machine has", ["what", "state", "found", "what to do"], rows)


def _row(what: str, found: str | None, lack: str = "none", advice: str = "-", needed: bool = False) -> Row:
    """The row of what was found, else of what lacks."""
    return (what, "ok", found, "-") if found else (what, "missing" if needed else "optional", lack, advice)


def _devices() -> Iterator[Row]:
    """PyTorch, and the devices that it can use."""
    seen, lack, advice = None, "an answer that cannot be read", "pip install 'qalign[train]'"
    try:
        done = subprocess.run(
            [sys.executable, "-c", TORCH], capture_output=True, text=True, timeout=SECONDS_FOR_TORCH, errors="replace",
            env={**os.environ, "PYTHONSAFEPATH": "1"}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode == 0 and done.stdout:
            seen = json.loads(done.stdout.splitlines()[-1])
        else:
            lack = (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1][:200]
    except subprocess.TimeoutExpired:
        lack = f"no answer within {SECONDS_FOR_TORCH} seconds"
        advice = "see whether the GPU's driver answers (nvidia-smi)"
    except ValueError:
        pass
    yield _row("PyTorch", seen and str(seen["version"]), lack, advice, needed=True)
    if seen is None:
        return
    for number, (name, size) in enumerate(seen["cuda"]):
        found = f"{name}, {in_bytes(size)}"
        advice = "--set training.precision=float32 --set generation.precision=float32"
        yield f"GPU {number}", "ok", *((found, "-") if seen["bfloat16"] else (f"{found}, no bfloat16", advice))
    if seen["mps"]:
        yield _row("GPU", "Apple's, by way of MPS; it shares the memory of the machine")
    elif not seen["cuda"]:
        if any(Path(driver).exists() for driver in GPU_DRIVERS) and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
            advice = "install a PyTorch that fits the driver: https://pytorch.org/get-started/locally"
            yield _row("GPU", None, "a driver, but PyTorch sees no device", advice, needed=True)
        else:
            advice = "a CPU is enough for `qalign demo` and --scale sample; a 7B model needs a GPU"
            yield _row("GPU", None, advice=advice)


def _packages_and_programs() -> Iterator[Row]:
    wanted = packages_of_extras()
    for extra, purpose in EXTRAS.items():
        lacking = ", ".join(package for package, needing in wanted if needing == extra and not _version(package))
        advice = f"pip install 'qalign[{extra}]' for {purpose}"
        yield _row(f"Extra {extra}", None if lacking else purpose, f"no {lacking}", advice, extra in NEEDED)
    advice = "pip install vllm: it answers by default on a GPU"
    yield _row("vLLM", _version("vllm"), advice=advice)
    for name, (programs, without) in PROGRAMS.items():
        yield _row(name, next(filter(None, map(shutil.which, programs)), None), f"no {programs[0]}", without)


def packages_of_extras() -> list[tuple[str, str]]:
    """Each package that an extra of this one brings, with the extra; none in a source tree that is not installed."""
    own = next(iter(distributions(name="qalign")), None)
    lines = "\n".join((own and own.requires) or ())
    return re.findall(r"^([\w.-]+)[^;\n]*;.*extra == ['\"]([\w-]+)", lines, re.MULTILINE)


def _version(package: str) -> str | None:
    return next((found.version for found in distributions(name=package)), None)


def _hub() -> Iterator[Row]:
    """Whether the hub answers, and whether there is a token, which is never shown."""
    try:
        from huggingface_hub import constants, get_token
    except ImportError:
        yield _row("Hub", None, "no huggingface-hub", "pip install 'qalign[data]'", needed=True)
        return
    if constants.HF_HUB_OFFLINE:
        advice = "unset HF_HUB_OFFLINE to fetch models and data"
        yield _row("Hub", None, "offline, as HF_HUB_OFFLINE says; only the cache is used", advice)
    else:
        host, fault = urlsplit(constants.ENDPOINT).hostname or "huggingface.co", _fault(constants.ENDPOINT)
        advice = "see to the network or a proxy (HTTPS_PROXY), or give models and data as local folders"
        yield _row("Hub", None if fault else f"{host} answers", f"{host}: {fault}", advice, needed=True)
    advice = "run `hf auth login`; gated models such as Llama 2 need it"
    yield _row("Hub token", "present" if get_token() else None, advice=advice)


def _fault(address: str) -> str | None:
    """Why an address does not answer; None if it does. Name servers too are waited for `SECONDS_FOR_HUB` only."""
    faults: list[str | None] = []

    def ask() -> None:
        try:
            if urlsplit(address).scheme not in ("http", "https"):
                raise ValueError("HF_ENDPOINT is not a web address")
            request = urllib.request.Request(address, method="HEAD")
            with urllib.request.urlopen(request, timeout=SECONDS_FOR_HUB):
                faults.append(None)
        except urllib.error.HTTPError as error:
            faults.append(f"answers with status {error.code}" if error.code >= 500 else None)
        except (OSError, ValueError) as error:
            faults.append(str(getattr(error, "reason", error))[:200])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS_FOR_HUB + 0.5)
    return faults[0] if faults else f"no answer within {SECONDS_FOR_HUB} seconds"


def _disk(runs: Path) -> Row:
    folder = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    free = f"{in_bytes(shutil.disk_usage(folder).free)} free for runs; `qalign plan` says what a run takes"
    writable = folder.is_dir() and os.access(folder, os.W_OK)
    lack, advice = f"{folder} cannot be written to", "choose another folder with --runs"
    return _row("Disk", free if writable else None, lack, advice, needed=True)
