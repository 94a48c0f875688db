"""One process from start to end: wall and CPU seconds, peak memory, and what it says of itself (Linux).

Memory is the kernel's own high-water mark (ru_maxrss of wait4) of the largest single process, the measured one or a
child of it: resident pages, without the page cache. Whoever forks a process passes its own size on to that mark, so
this file, run as a small process of its own, is what starts the measured one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds, megabytes, the exit status with what the process last wrote, and its remarks by name."""

    wall: float
    cpu: float
    peak_mb: float
    status: int = 0
    output: str = ""
    remarks: Mapping[str, float] = field(default_factory=dict)


def measure(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Measured:
    """Run the command in `folder`, its output going to a file there. A last line that is a JSON object is its remarks."""
    output = folder / "output.txt"
    starter = subprocess.run(
        [sys.executable, "-I", "-S", __file__, str(output), *command],
        env=dict(environment),
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    written = output.read_text(errors="replace")
    return Measured(**json.loads(starter.stdout), output=written[-1000:], remarks=_remarks(written))


def _start(output: str, command: Sequence[str]) -> None:
    """Run the command and print what it took."""
    started = time.perf_counter()
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    figures = {
        "wall": wall,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss * 1024 / 1e6,
        "status": process.returncode,
    }
    print(json.dumps(figures))


def median(found: Sequence[Measured]) -> Measured:
    """Each figure's median by itself."""
    return Measured(
        statistics.median(one.wall for one in found),
        statistics.median(one.cpu for one in found),
        statistics.median(one.peak_mb for one in found),
        remarks={name: statistics.median(one.remarks[name] for one in found) for name in found[0].remarks},
    )


def _remarks(written: str) -> dict[str, float]:
    for line in reversed(written.splitlines()):
        if line.startswith("{"):
            return {name: value for name, value in json.loads(line).items() if isinstance(value, (int, float))}
    return {}


if __name__ == "__main__":
    _start(sys.argv[1], sys.argv[2:])
