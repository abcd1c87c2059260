"""A real Slurm of two nodes on this machine: its daemons, from Debian's packages, without systemd and control groups."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from waiting import wait_for

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=6
KillWait=20
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=8000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """Why there can be no Slurm here; empty where there can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root here"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class SmallSlurm:
    """The daemons of one Slurm. Use `variables` for what shall speak to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.variables = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": PATH}
        for name in ("state", "spool", "log"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        folder.chmod(0o755)
        host = socket.gethostname().partition(".")[0]
        (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=free_ports(3)))

    def start(self) -> None:
        munge = [f"--{name}={self.folder}/munge.{name}" for name in ("socket", "seed-file", "pid-file")]
        munge = [one.replace("munge.seed-file", "munge.seed").replace("munge.pid-file", "munged.pid") for one in munge]
        log = f"--log-file={self.folder}/log/munged.log"
        self._begin("munged", "munged", "-F", "--force", f"--key-file={self.folder}/munge.key", *munge, log)
        wait_for("munge", (self.folder / "munge.socket").exists)
        self._begin("slurmctld", "slurmctld", "-D")
        for node in ("n1", "n2"):
            self.start_node(node)

    def start_node(self, node: str) -> None:
        self._begin(node, "slurmd", "-D", "-N", node)
        wait_for(node, lambda: self.state(node) in ("idle", "allocated", "mixed"))

    def state(self, node: str) -> str:
        return self.say("sinfo", "--noheader", f"--nodes={node}", "--format=%T")

    def say(self, *command: str) -> str:
        return subprocess.run(command, env=self.variables, capture_output=True, text=True).stdout.strip()

    def queue(self) -> dict[str, str]:
        """The state and node of each job, by its id."""
        lines = self.say("squeue", "--noheader", "--format=%i %T %N").splitlines()
        return dict(line.partition(" ")[::2] for line in lines)

    def kill_node(self, node: str) -> None:
        """Ends a node as a power failure does: its daemon and all its jobs at once."""
        tree = [self.daemons[node].pid, *(pid for pid in processes() if variable(pid, "SLURMD_NODENAME") == node)]
        tree += [pid for pid in processes() if command(pid).startswith("slurmstepd") and node in open_files(pid)]
        for pid in tree:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemons.pop(node).wait()

    def stop(self) -> None:
        self.say("scancel", f"--user={os.getuid()}")
        with suppress(TimeoutError):
            wait_for("the end of all jobs", lambda: not self.queue())
        for daemon in reversed(self.daemons.values()):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _begin(self, name: str, *command: str) -> None:
        with (self.folder / "log" / f"{name}.log").open("ab") as file:
            self.daemons[name] = subprocess.Popen(
                command, env=self.variables, stdout=file, stderr=file, start_new_session=True
            )


def processes() -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and int(path.name) != os.getpid():
            yield int(path.name)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def variable(pid: int, name: str) -> str:
    """A variable of a process's environment."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    return next((value for key, _, value in (pair.partition("=") for pair in pairs) if key == name), "")


def open_files(pid: int) -> set[str]:
    """The names of the folders of the files that a process holds open."""
    found = set()
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found |= set(Path(os.readlink(path)).parts)
    return found
