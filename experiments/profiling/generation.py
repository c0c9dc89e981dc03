"""What a device agent costs a language model: tokens per second through it and without it.

::

    python -m experiments.profiling.generation runs/smollm2 --threads 1

The same prompts are written by the model's own loop and by a device that has the same model, one at
a time and several under way at once. Both read log probabilities at every token. Runs take turns,
so that what else the machine does meets both alike; the best of each counts.
"""

from __future__ import annotations

import asyncio
import platform
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from device_agent import Device
from device_agent.settings import DeviceSettings
from shared.agent.settings import LimitSettings, TierSettings
from shared.bus.memory import MemoryBroker
from shared.cli import clear_errors
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request
from shared.tasks.generate import Completion
from shared.telemetry import log
from shared.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Model

_TEXTS: Final = (
    "Name three things that a plumber needs.",
    "Why is the sky blue?",
    "Write one sentence about the sea.",
    "What should I check first when a radiator stays cold?",
)
_LONG_S: Final = 3_600.0


class Speed(NamedTuple):
    """Tokens that were written, and in which time."""

    tokens: int
    spent_s: float

    @property
    def tokens_s(self) -> float:
        """Return tokens per second."""
        return self.tokens / self.spent_s


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False))
@click.option("--threads", default=1, show_default=True, help="CPU threads of the engine.")
@click.option("--new-tokens", default=48, show_default=True, help="Tokens of each text.")
@click.option("--rounds", default=3, show_default=True, help="Times that each is measured.")
def main(bundle: str, threads: int, new_tokens: int, rounds: int) -> None:
    """Print a table of both, and their ratio."""
    with clear_errors():
        log.silence()
        settings = ModelSettings(source=bundle, runtime="genai", threads=threads, batch_prompts=4)
        model = load_model(settings)
        options = {"max_new_tokens": new_tokens}
        table = Table("texts at once", "own loop, tokens/s", "device, tokens/s", "ratio")
        for together in (1, len(_TEXTS)):
            own, agent = asyncio.run(_both(model, settings, options, together, rounds))
            ratio = f"{agent.tokens_s / own.tokens_s:.3f}"
            table.add_row(str(together), f"{own.tokens_s:.1f}", f"{agent.tokens_s:.1f}", ratio)
        model.close()
        console = Console()
        console.print(table)
        console.print(
            f"{model.name}, {threads} threads, {platform.machine()}, Python "
            f"{platform.python_version()}"
        )


async def _both(
    model: Model, settings: ModelSettings, options: dict[str, int], together: int, rounds: int
) -> tuple[Speed, Speed]:
    """Return the best speed of the model's own loop, and of a device with this model."""
    broker = MemoryBroker()
    device = DeviceSettings(
        agent="device-1",
        tier=TierSettings(name="device"),
        model=settings,
        limits=LimitSettings(timeout_s=_LONG_S),
    )
    connect = broker.client
    own, agent = [], []
    async with Device.open(
        device,
        model=model,
        connect=lambda settings, will: connect(settings.agent, will),
        metrics=Metrics(),
    ) as asked:
        for _ in range(rounds):
            own.append(await asyncio.to_thread(_alone, model, options, together))
            agent.append(await _through(asked, options, together))
    return max(own, key=lambda speed: speed.tokens_s), max(agent, key=lambda speed: speed.tokens_s)


def _alone(model: Model, options: dict[str, int], together: int) -> Speed:
    started_s, tokens = time.perf_counter(), 0
    for texts in _groups(together):
        entries = model.answer([Request("generate", text, options) for text in texts])
        tokens += sum(_tokens(entry) for entry in entries)
    return Speed(tokens, time.perf_counter() - started_s)


async def _through(device: Device, options: dict[str, int], together: int) -> Speed:
    started_s, tokens = time.perf_counter(), 0
    for texts in _groups(together):
        asking = (device.ask(text, task="generate", options=options) for text in texts)
        results = await asyncio.gather(*asking)
        tokens += sum(_tokens(result.outcome) for result in results)
    return Speed(tokens, time.perf_counter() - started_s)


def _groups(together: int) -> list[Sequence[str]]:
    return [_TEXTS[start : start + together] for start in range(0, len(_TEXTS), together)]


def _tokens(answered: object) -> int:
    answer = answered.answer if isinstance(answered, Scored) else answered
    if not isinstance(answer, Completion):
        raise click.ClickException(f"no text was written: {answer}")
    return answer.tokens_out


if __name__ == "__main__":
    main()
