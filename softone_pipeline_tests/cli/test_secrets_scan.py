"""No key, password or token is left behind by runs that succeed, fail and are killed, with every log line on.

Looked at: what is printed (tracebacks too), every file of the folder (DuckDB, Dagster's events and captured output,
temporary files), and the command lines of all processes. /proc/…/environ of our own processes is not: the environment
is where settings are given. What the UI answers is looked through in orchestration/test_ui_secrets.py.
"""

from __future__ import annotations

import html
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from softone_pipeline.sandbox import Company, Sandbox
from softone_pipeline_tests.cli.conftest import FIRST_DAY
from softone_pipeline_tests.secret_forms import CREDENTIALS, HASH_KEY, SECRETS, forms_of, loud_settings, secrets_in


class _Redirecting(BaseHTTPRequestHandler):
    """Sends whoever asks elsewhere, with everything that was asked for in the address, a cookie and the body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/Login"):
            answer, status = b'{"Token": "sandbox-token-of-the-redirect"}', 200
        else:
            answer, status = f"Moved: {self.path} {body.decode()}".encode(), 302
        self.send_response(status)
        self.send_header("Location", f"http://127.0.0.1:9/login/{quote(self.path, safe='')}")
        self.send_header("Set-Cookie", f"seen={quote(self.path)}")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _redirecting() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _closed_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{found.getsockname()[1]}"


@dataclass
class Left:
    """What a run left behind: what it printed, the command lines seen meanwhile, how it ended."""

    printed: bytes
    command_lines: bytes
    returncode: int


def _play(folder: Path, base_url: str, *, kill: Callable[[], bool] | None = None) -> Left:
    """`softone --debug backfill`, to its end or until `kill` says when to kill it."""
    home = folder / ".dagster"
    home.mkdir(parents=True)
    (folder / "tmp").mkdir()
    (home / "dagster.yaml").write_text(loud_settings(), encoding="utf-8")
    variables = CREDENTIALS.environment(base_url) | {
        "SOFTONE_HASH_KEY": HASH_KEY,
        "SOFTONE_PSEUDONYMISE": "persons",
        "SOFTONE_MAX_ATTEMPTS": "2",
        "SOFTONE_RETRY_WAIT_SECONDS": "0",
        "SOFTONE_TIMEOUT_SECONDS": "20",
        "DAGSTER_HOME": str(home),
        "TMPDIR": str(folder / "tmp"),
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "softone_pipeline",
            "--debug",
            "backfill",
            "--from",
            f"{FIRST_DAY}",
            "--to",
            f"{FIRST_DAY}",
        ],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    lines: list[bytes] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.3):
            lines.extend(_command_lines())
            if kill is not None and kill():
                os.killpg(process.pid, signal.SIGKILL)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        printed, _ = process.communicate(timeout=200)
    finally:
        done.set()
        watcher.join()
        process.kill()
    return Left(printed, b"\n".join(lines), process.returncode)


def _command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


@pytest.mark.timeout(280)
def test_no_secret_is_left_by_runs_that_succeed_fail_and_are_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    company = Company(first_day=FIRST_DAY, last_day=FIRST_DAY, invoices_per_day=5)
    with ExitStack() as stack:

        def erp(*faults: str) -> Sandbox:
            return stack.enter_context(Sandbox(company, credentials=CREDENTIALS, faults=faults))

        slow = erp("slow:30")
        well = erp()
        addresses = {
            "well": well.base_url,
            "refused": erp("login-refused-200", "echo-url").base_url,
            "refused with 401": erp("login-refused-401", "echo-url").base_url,
            "echo": erp("server-error:500,rate=1", "echo-url").base_url,
            "redirect": stack.enter_context(_redirecting()),
            "TLS": well.base_url.replace("http:", "https:"),
            "closed": _closed_port(),
            "killed": slow.base_url,
        }

        def scene(name: str) -> Left:
            kill = (lambda: any("Filter" in record.path for record in slow.log)) if name == "killed" else None
            return _play(tmp_path / name, addresses[name], kill=kill)

        with ThreadPoolExecutor(4) as pool:
            left = dict(zip(addresses, pool.map(scene, addresses), strict=True))

    codes = {name: found.returncode for name, found in left.items()}
    assert codes["well"] == 0, left["well"].printed.decode()[-3000:]
    assert codes["killed"] == -signal.SIGKILL
    assert all(codes[name] == 1 for name in set(codes) - {"well", "killed"}), codes
    places = {f"printed: {name}": found.printed for name, found in left.items()}
    places |= {f"command lines: {name}": found.command_lines for name, found in left.items()}
    places |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert all(b"softone_pipeline" in found.command_lines for found in left.values())
    assert any(place.endswith(".db") for place in places)
    assert any(place.endswith(".duckdb") for place in places)
    # every log line is on, or this would prove little
    assert any(b"DEBUG" in found.printed for found in left.values())
    found_in = secrets_in(places)
    record_property("bytes_scanned", sum(map(len, places.values())))
    print("bytes scanned:", sum(map(len, places.values())), "in", len(places), "places")
    assert not found_in


def test_the_scan_would_find_a_secret_however_it_is_written() -> None:
    for secret in SECRETS:
        for text in (
            secret,
            quote_plus(secret),
            quote(secret, safe="").lower(),
            json.dumps({"url": f"http://x/?k={quote(secret)}"}),
            json.dumps(json.dumps(secret)),
            html.escape(secret),
        ):
            assert any(form in text.encode() or form in text.encode().lower() for form in forms_of(secret)), text
