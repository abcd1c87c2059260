"""What runs inside the sandbox: one forked process for each program. Sympy and numpy are imported before, once.

It imports the standard library alone: nothing of qalign can be seen from there. A forked process gives up all system
calls but those of plain computing before it runs its program, and it has limits on time, memory and output. Where one of
these cannot be set, no program runs.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import platform
import resource
import select
import signal
import struct
import sys
import time
from contextlib import suppress

WALL = 10
"""Times the limit of computing that a program may take by the clock: others use the machine too."""
OUTPUT = 65_536
"""The most bytes that a program prints."""
PACKAGES = ("math", "fractions", "decimal", "datetime", "itertools", "statistics", "numpy", "sympy")

# read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 readv writev mremap
# madvise getpid exit fcntl getcwd futex getdents64 clock_gettime exit_group openat newfstatat readlink(at) getrandom statx
# gettid sched_yield sigaltstack sched_getaffinity; on x86 also stat and lstat. No fork, exec, socket, kill or ptrace.
CALLS = {
    "x86_64": (0xC000003E, (
        0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 25, 28, 39, 60, 72, 79, 202, 217, 228, 231, 257, 262, 89, 267, 318,
        332, 186, 24, 131, 204, 4, 6,
    )),
    "aarch64": (0xC00000B7, (
        63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 67, 65, 66, 216, 233, 172, 93, 25, 17, 98, 61, 113, 94, 56, 79, 78,
        278, 291, 178, 124, 132, 123,
    )),
}  # fmt: skip
"""The machine's number and the system calls that stay, by architecture (Linux: audit.h, unistd.h)."""


def give_up_system_calls() -> None:
    """Forbids all system calls but those of the table, for good (seccomp). Raises where the kernel refuses."""
    machine, allowed = CALLS[platform.machine()]
    rules = [(0x20, 0, 0, 4), (0x15, 1, 0, machine), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
    rules += [(0x15, len(allowed) - place, 0, number) for place, number in enumerate(allowed)]
    rules += [(0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]  # else it fails with EPERM
    packed = b"".join(struct.pack("HBBI", *rule) for rule in rules)
    buffer = ctypes.create_string_buffer(packed)
    program = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp is forbidden here")


def run_in_this_process(program: str, output: int, seconds: int, room: int) -> None:
    """Runs a program under all limits, and ends the process: with status 0 where the program ended without an error."""
    status = 1
    try:
        reader, writer = os.pipe()
        os.close(writer)
        os.dup2(reader, 0)  # nothing to read
        os.dup2(output, 1)
        os.close(2)
        os.closerange(3, 256)
        limits = {"CORE": 0, "FSIZE": 0, "NOFILE": 32, "AS": room}
        for name, most in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        sys.stdin, sys.stderr = open(0, encoding="utf-8"), io.StringIO()  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        give_up_system_calls()
        try:
            exec(compile(program, "program", "exec"), {"__name__": "__main__"})
            status = 0
        except SystemExit as ended:
            status = 0 if ended.code in (None, 0) else 1
        sys.stdout.flush()
    except BaseException:  # whatever it is, the program has not ended well
        status = 1
    finally:
        os._exit(status)


def run(program: str, seconds: int, room: int) -> dict[str, str]:
    """How a program ended, `ran`, `error` or `time-out`, and what it printed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        run_in_this_process(program, writer, seconds, room)
    os.close(writer)
    deadline, printed, is_open = time.monotonic() + WALL * seconds, b"", True
    while is_open and len(printed) <= OUTPUT and (left := deadline - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            part = os.read(reader, OUTPUT)
            printed, is_open = printed + part, bool(part)
    os.close(reader)
    ended = 0
    # It has closed its output: it ends, or computes on.
    while not is_open and not ended and time.monotonic() < deadline:
        ended, status, used = os.wait4(child, os.WNOHANG)
        time.sleep(0 if ended else 0.001)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if used.ru_utime + used.ru_stime >= seconds or time.monotonic() >= deadline or code == -signal.SIGXCPU:
        return {"ended": "time-out", "printed": ""}
    if ended and code == 0:
        return {"ended": "ran", "printed": printed.decode("utf-8", "replace")}
    return {"ended": "error", "printed": ""}


def main() -> None:
    """Answers each line of JSON, a program, by a line. The first line out is that of a program of its own."""
    seconds, room = int(sys.argv[1]), int(sys.argv[2])
    print(json.dumps(run("print(6 * 7)", seconds, room)), flush=True)
    sys.path.append("/packages")
    for number, line in enumerate(sys.stdin):
        if number == 0:
            import_packages()
        print(json.dumps(run(json.loads(line), seconds, room)), flush=True)


def import_packages() -> None:
    """Imports what programs use, once for all of them."""
    for name in PACKAGES:
        with suppress(ImportError):
            __import__(name)


if __name__ == "__main__":
    main()
