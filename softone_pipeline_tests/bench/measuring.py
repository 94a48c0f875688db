"""One process from start to end: wall and CPU seconds, and the peak memory of it and its children together (Linux)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds, megabytes, and the exit status with what the process last wrote."""

    wall: float
    cpu: float
    peak_mb: float
    status: int
    output: str


def measure(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Measured:
    """Run the command in `folder`, its output going to a file there."""
    output = folder / "output.txt"
    before = os.times()
    started = time.perf_counter()
    peak = 0.0
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=dict(environment), cwd=folder, stdout=file, stderr=subprocess.STDOUT)
        while True:
            try:
                process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, _tree_mb(process.pid))
    wall = time.perf_counter() - started
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(wall, cpu, peak, process.returncode, output.read_text(errors="replace")[-1000:])


def _tree_mb(pid: int) -> float:
    try:
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0.0
    return resident + sum(_tree_mb(int(child)) for child in children)
