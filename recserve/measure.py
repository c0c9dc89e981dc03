"""``recserve measure``: what models and agents cost on this machine, for ``recserve plan``."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console

from broker.start import choose
from planning.measured import Measured, write_measured
from recserve.demo.prompts import read_prompts
from recserve.measuring import make_handling, measure_handling
from recserve.measuring_models import Bench
from shared import log
from shared.command import clear_errors
from shared.runtimes import ModelSettings
from shared.settings import LogSettings

_BUNDLES = Path(__file__).parents[1] / "models" / "bundles"
_PACKAGES = ("recserve", "onnxruntime", "paho-mqtt", "tokenizers")


@click.command("measure", help="Measure what models and agents cost on this machine.")
@click.argument("bundles", nargs=-1, type=click.Path(file_okay=False))
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Everything is measured so many times, in turns.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of the models."
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
def command(bundles: tuple[str, ...], rounds: int, threads: int, out: Path, name: str) -> None:
    """Measure the bundles named, or the three of the demo."""
    console = Console()
    log.configure(LogSettings(level="error"))
    sources = bundles or tuple(
        str(_BUNDLES / f"sentiment-{tier}") for tier in ("device", "edge", "cloud")
    )
    texts = [prompt.text for prompt in read_prompts()]
    with clear_errors(), console.status("measuring ...") as status:
        settings = [ModelSettings(source=source, threads=threads) for source in sources]
        agents_model = ModelSettings(source=str(_BUNDLES / "sentiment-device"))
        bench = Bench([*settings, agents_model], texts)
        for number in range(rounds):
            status.update(f"models, round {number + 1} of {rounds}")
            bench.round()
        agents = asyncio.run(measure_handling(agents_model.source, texts, rounds, status.update))
        *models, small = bench.close()
        measured = Measured(
            machine=name,
            cores=os.cpu_count() or 1,
            measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            broker=choose("auto"),
            versions={package: version(package) for package in _PACKAGES}
            | {"python": platform.python_version(), "machine": platform.machine()},
            handling=make_handling(agents, small.times),
            models={model.name: model.times for model in models},
        )
    write_measured(out, measured)
    console.print(f"Written to {out}")
