"""softone up."""

from __future__ import annotations

import logging
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

import click

from softone_pipeline.cli.console import EXIT_FAILED, out
from softone_pipeline.settings import PipelineSettings, stockholm_today


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the UI listens on.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI.")
@click.option("--sandbox", "with_sandbox", is_flag=True, help="Start the pretend ERP beside it (after `softone demo`).")
def up(host: str, port: int, with_sandbox: bool) -> None:
    """Start the Dagster UI and its daemon, until Ctrl-C or SIGTERM.

    State is kept in DAGSTER_HOME, or in .dagster in this folder. Then: open the UI, Catalog, raw/customer_invoices,
    Materialize, choose days. Turn on the schedule refresh_recent_days under Automation to keep it fresh.
    """
    from softone_pipeline.orchestration.instance import WORKSPACE, prepare_pool, prepared_home

    settings = PipelineSettings.load()
    _refuse_a_port_in_use(host, port)
    home = prepared_home()
    out.print(f"Dagster's history is kept in {home}", soft_wrap=True)
    out.print(f"The UI will be at http://{host}:{port}")
    prepare_pool()
    told = _listen()
    try:
        with _sandbox_process(settings) if with_sandbox else nullcontext():
            status = _dagster("dev", "-w", str(WORKSPACE), "-h", host, "-p", str(port))
    except KeyboardInterrupt:
        status = 0
    _wait_for_children()
    if signal.SIGINT in told:
        raise KeyboardInterrupt
    # Without having been told to, it has no reason to end.
    sys.exit(0 if told else status or EXIT_FAILED)


def _refuse_a_port_in_use(host: str, port: int) -> None:
    """Dagster would say so too, but go on: a second daemon beside the first, and no UI."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found[:1]:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
    except OSError as error:
        raise click.UsageError(
            f"The UI cannot listen on {host}:{port} ({error.strerror}). Is softone up running there already? "
            "Stop it, or choose another --port."
        ) from None


def _listen() -> list[int]:
    """Let SIGINT and SIGTERM stop what runs here, once: whoever repeats one would cut the stopping short. Returns those heard.

    Also where SIGINT was ignored, as in the background of a shell's script: Dagster treats SIGTERM like SIGINT, and what
    it starts is stopped by SIGINT.
    """
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if len(told) == 1:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return told


def _dagster(*arguments: str) -> int:
    """A command of Dagster's in this process, so that it is this one's signals that stop the server and the daemon."""
    sys.argv = ["dagster", *arguments]
    # Dagster has its own, and every line would be printed twice.
    logging.getLogger().handlers.clear()
    # It would have people type `dg dev`, which wants a project around it.
    warnings.filterwarnings("ignore", message="Function `dev_command` is superseded")
    try:
        runpy.run_module("dagster", run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _wait_for_children() -> None:
    """Until the code server, which Dagster tells to end and does not wait for, has ended; half a minute at most."""
    until = time.monotonic() + 30
    with suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.1)


@contextmanager
def _sandbox_process(settings: PipelineSettings) -> Iterator[None]:
    days = (stockholm_today() - settings.start_date).days + 1
    process = subprocess.Popen([sys.executable, "-m", "softone_pipeline", "sandbox", "--days", str(days)])
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
