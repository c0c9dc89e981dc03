"""``recserve doctor``: whether everything is here that an agent needs, and quick.

Checks the settings, the model and its engine or server, the broker and its round-trip time, and who
is alive in the tier above. Each check is a line; the first thing to do is in the line that failed.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING

import click
from rich.console import Console

from recserve.any_settings import AnySettings
from recserve.commands.doctor_broker import Finding, check_broker
from recserve.commands.doctor_server import check_server
from shared.errors import RecServeError
from shared.runtimes import Placed, labels_of, load_model, probe
from shared.runtimes.abilities import Abilities, abilities_of
from shared.settings.file import load
from shared.telemetry import log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from shared.agent.settings import AgentSettings

_RUNS = 21
_SAMPLE = "the new valve works well"


@click.command("doctor", help="Check settings, model, engine, broker and the agents above.")
@click.option(
    "--config",
    "-c",
    "files",
    multiple=True,
    default=["configs/device.yaml"],
    show_default=True,
    help="YAML file of the agent to examine; the next one adds to it.",
)
@click.option("--set", "flags", multiple=True, metavar="KEY=VALUE", help="Overrides one setting.")
def command(files: tuple[str, ...], flags: tuple[str, ...]) -> None:
    """Exit with 1 when a check failed."""
    log.silence()
    console = Console()
    failed = asyncio.run(_examine(files, flags, console))
    sys.exit(1 if failed else 0)


async def _examine(files: Sequence[str], flags: tuple[str, ...], console: Console) -> bool:
    failed = False
    async for finding in examine(files, flags):
        style = {"ok": "green", "warning": "yellow", "failed": "bold red"}[finding.verdict]
        console.print(
            f"[{style}]{finding.verdict:<8}[/] {finding.check:<10} {finding.detail}",
            highlight=False,
            soft_wrap=True,
        )
        failed |= finding.verdict == "failed"
    return failed


async def examine(files: Sequence[str], flags: tuple[str, ...] = ()) -> AsyncIterator[Finding]:
    """Yield the findings one by one; later checks are left out when they cannot be made."""
    try:
        # A device's file has keys that others lack, and none that a device lacks.
        settings = load(AnySettings, files, environment=os.environ, flags=flags)
    except RecServeError as error:
        yield Finding("failed", "settings", str(error))
        return
    yield Finding("ok", "settings", f"{files[0]}: {settings.agent}, tier {settings.tier.name}")
    if settings.model.runtime == "openai":
        for finding in check_server(settings):
            yield finding
        served = abilities_of(settings.model)
    else:
        finding, served = _check_model(settings)
        yield finding
    async for finding in check_broker(settings, served):
        yield finding


def _check_model(settings: AgentSettings) -> tuple[Finding, Abilities | None]:
    """Load the model, hashes and engine included, and time a short prompt.

    Returns also what it can be asked.
    """
    try:
        model = load_model(settings.model)
    except RecServeError as error:
        return Finding("failed", "model", str(error)), None
    try:
        request = [probe(model, max(model.tasks), _SAMPLE)]
        model.answer(request)
        times_ms = []
        for _ in range(_RUNS):
            started_s = time.perf_counter()
            model.answer(request)
            times_ms.append((time.perf_counter() - started_s) * 1000)
    finally:
        model.close()
    where = model.device if isinstance(model, Placed) else ", ".join(settings.model.providers)
    took_ms = statistics.median(times_ms)
    detail = (
        f"{model.name}: files whole, {settings.model.runtime} on {where}, "
        f"{took_ms:.2f} ms for a short prompt"
    )
    return Finding("ok", "model", detail), Abilities(model.tasks, labels_of(model))
