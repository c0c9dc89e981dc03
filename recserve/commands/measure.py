"""``recserve measure``: what models and agents cost on this machine, for ``recserve plan``."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console

from broker.start import choose
from experiments.datasets.bundled import read_prompts
from experiments.grid import Grid, print_grid
from experiments.profiling.agents import listed_models, watch_agents
from experiments.profiling.handling import make_handling
from experiments.profiling.models import Bench
from experiments.profiling.profile import (
    AgentCosts,
    MachineProfile,
    check_place,
    model_key,
    write_measured,
)
from experiments.profiling.writers import WriterBench
from shared.cli import clear_errors
from shared.runtimes import ModelSettings
from shared.runtimes.bundle import Bundle
from shared.telemetry import log
from shared.telemetry.log import LogSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.tasks import Task

_PACKAGES = ("recserve", "onnxruntime", "paho-mqtt", "tokenizers")


@click.command("measure", help="Measure what models and agents cost on this machine.")
@click.argument("bundles", nargs=-1, type=click.Path(file_okay=False))
@click.option(
    "--agents",
    "listed",
    multiple=True,
    metavar="FILE",
    help="Models of the agents in this file, as for recserve up; may be repeated.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Everything is measured so many times, in turns.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of the bundles named.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("measured.json"),
    show_default=True,
    help="File to write.",
)
@click.option(
    "--name", default=platform.node(), help="Name of the machine; its own if none is given."
)
def command(
    bundles: tuple[str, ...],
    listed: tuple[str, ...],
    rounds: int,
    threads: int,
    out: Path,
    name: str,
) -> None:
    """Measure the bundles named and those of agents; without any the three of the demo.

    Agents are watched with the models among them that classify; without any, with the demo's.
    """
    console = Console()
    log.configure(LogSettings(level="error"))
    with clear_errors(), console.status("measuring ...") as status:
        check_place(out)
        models = [_settings(source, threads) for source in bundles]
        models += [model for file in listed for model in listed_models(file)]
        measured = _measure(name, models or listed_models(), rounds, status.update)
        write_measured(out, measured)
    if measured.models:
        print_grid(console, _models(measured))
    if measured.writers:
        print_grid(console, _writers(measured))
    print_grid(console, _handling(measured.handling))
    console.print(f"Written to {out}; recserve plan takes it from there.")


def _measure(
    machine: str, models: Sequence[ModelSettings], rounds: int, say: Callable[[str], None]
) -> MachineProfile:
    texts = [prompt.text for prompt in read_prompts()]
    answering, writing = _by_kind(models)
    watched = _watched(answering)
    bench, writers = Bench([*answering, *watched], texts), WriterBench(writing, texts)
    for number in range(rounds):
        say(f"models, round {number + 1} of {rounds}")
        bench.round()
        writers.round()
    agents = asyncio.run(watch_agents([each.source for each in watched], texts, rounds, say))
    timed = bench.close()
    alone, beside = timed[: len(answering)], timed[len(answering) :]
    return MachineProfile(
        machine=machine,
        cores=os.cpu_count() or 1,
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        broker=choose("auto"),
        versions={package: version(package) for package in _PACKAGES}
        | {"python": platform.python_version(), "machine": platform.machine()},
        handling=make_handling(agents, [model.times for model in beside]),
        models={model_key(name, times.threads): times for name, times in alone},
        writers={model_key(name, times.threads): times for name, times in writers.close()},
    )


def _settings(source: str, threads: int) -> ModelSettings:
    """Return how a bundle is run here."""
    runtime = Bundle.open(source).manifest.runtime
    return ModelSettings(source=source, runtime=runtime, threads=threads)


def _by_kind(models: Sequence[ModelSettings]) -> tuple[list[ModelSettings], list[ModelSettings]]:
    """Return the models that answer in batches, and those that write."""
    writing = [model for model in models if _task(model) == "generate"]
    return [model for model in models if model not in writing], writing


def _task(model: ModelSettings) -> Task:
    return Bundle.open(model.source).manifest.task


def _watched(answering: Sequence[ModelSettings]) -> list[ModelSettings]:
    """Return models for a device, an edge and a cloud agent; the last again if there are fewer.

    They have one thread, so that their time is that of one core.
    """
    classifying = [model for model in answering if _task(model) == "classify"]
    models = classifying or listed_models()
    three = [models[min(place, len(models) - 1)] for place in range(3)]
    return [msgspec.structs.replace(model, threads=1) for model in three]


def _models(measured: MachineProfile) -> Grid:
    """Say how long models run on batches of each size, per prompt."""
    sizes = [f"of {batch.prompts}" for batch in next(iter(measured.models.values())).batches]
    rows = [
        [
            name,
            *(f"{batch.p50_us / batch.prompts / 1000:.2f}" for batch in times.batches),
            f"+{times.cold_us / 1000:.2f}",
        ]
        for name, times in measured.models.items()
    ]
    return Grid("Models: ms per prompt in batches", ["model", *sizes, "cold"], rows)


def _writers(measured: MachineProfile) -> Grid:
    """Say how long models take to read a prompt and to write, and how many tokens a second."""
    rows = [
        [
            name,
            f"{times.prefill_us / 1000:.2f}",
            f"{times.prefill_token_us / 1000:.3f}",
            f"{times.step_us / 1000:.2f}",
            f"{times.decode_token_us / 1000:.2f}",
            *(f"{speed.tokens_s:,.0f}" for speed in times.together),
            f"+{times.cold_us / 1000:.2f}",
        ]
        for name, times in measured.writers.items()
    ]
    heads = [f"/s of {speed.texts}" for speed in next(iter(measured.writers.values())).together]
    columns = ["model", "prompt", "its token", "step", "token", *heads, "cold"]
    return Grid("Models that write: ms, and tokens a second of texts together", columns, rows)


def _handling(handling: AgentCosts) -> Grid:
    """Say what agents spend besides."""
    steps = {
        "a device, on a prompt it keeps": handling.keep,
        "more, on one it sends up": handling.escalate,
        "an upper agent, on one it answers": handling.answer,
        "on one it passes on": handling.pass_on,
        "the broker, on a message": handling.message,
        "a replay, on a prompt": handling.generate,
    }
    rows = [
        [what, f"{cost.cold_us / 1000:.2f}", f"{cost.warm_us / 1000:.2f}"]
        for what, cost in steps.items()
    ]
    return Grid("Agents: ms of a core, models apart", ["", "cold", "warm"], rows)
