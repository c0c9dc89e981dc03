"""What the wire adds to a request: a device hands texts to an edge agent across a real broker.

::

    python -m experiments.profiling.wire

Every request is sent up, and its answer comes back. Of the time from asking to the answer each
agent says how much was its own, from a prompt's arrival there to the decision on it; what is left
is the wire's: both packets, the broker, both event loops, and what agents do to lose nothing.
Requests come one after another, each straight after the last or after a pause, when everything has
gone to sleep. What the device's processor spends is held against what it spends on the same
requests where it answers them itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec
import numpy as np
from rich.console import Console

from broker.start import choose
from device_agent import Device
from device_agent.settings import DeviceSettings
from experiments.grid import Grid, print_grid
from experiments.profiling.agents import PAUSE_S
from experiments.testbed.processes import UpSettings, on_free_ports, read_agents, running
from shared.cascade.policies import KeepAll, PassAll
from shared.cli import clear_errors
from shared.errors import DataError
from shared.nodes.settings import NodeSettings
from shared.settings.file import load
from shared.tasks.generate import Completion
from shared.telemetry import log
from shared.telemetry.metrics import MetricsSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from shared.cascade.policies import PolicySettings
    from shared.messages import Result

UP: Final = Path(__file__).parents[2] / "configs" / "demo-text" / "up.yaml"
_TEXT: Final = "A man in a blue shirt is standing on a ladder cleaning a window."
_WARM_UP: Final = 20
_SETTLE_S: Final = 0.5
_CONNECTED_S: Final = 10.0


class Crossed(NamedTuple):
    """Milliseconds of one request: in all, of the device's own, of the edge's, and of the wire."""

    whole_ms: float
    device_ms: float
    edge_ms: float

    @property
    def wire_ms(self) -> float:
        """What neither agent counts as its own."""
        return self.whole_ms - self.device_ms - self.edge_ms


class Pace(NamedTuple):
    """Requests at one pace: what each took, and what the device's processor spent more on each."""

    crossed: Sequence[Crossed]
    added_ms: float


@click.command()
@click.option("--prompts", default=200, show_default=True, type=click.IntRange(min=20))
@click.option("--new-tokens", default=4, show_default=True, type=click.IntRange(min=1))
def main(prompts: int, new_tokens: int) -> None:
    """Print where the time of requests goes that an edge agent answers."""
    console = Console()
    with clear_errors():
        log.silence()
        paced = asyncio.run(measure_wire(prompts, new_tokens))
    for name, pace in paced.items():
        print_grid(console, _grid(name, pace.crossed))
        said = f"The device's processor spends {pace.added_ms:.2f} ms more than on one it answers."
        console.print(said, highlight=False)
    console.print(
        f"{prompts} texts of {new_tokens} tokens each way, {choose('auto')} on this machine, "
        f"{platform.machine()}, Python {platform.python_version()}"
    )


async def measure_wire(prompts: int, new_tokens: int) -> dict[str, Pace]:
    """Return what requests took, one straight after another and with pauses between.

    Raises ``DataError`` when one is not answered by the edge.
    """
    options = {"max_new_tokens": new_tokens}
    found = {}
    async with _site() as (keeper, sender):
        for device in (keeper, sender):
            await _ask(device, options, _WARM_UP, 0.0)
        for name, pause_s in (("straight after another", 0.0), ("after a pause", PAUSE_S)):
            _, kept_ms = await _ask(keeper, options, prompts, pause_s)
            sent, sent_ms = await _ask(sender, options, prompts, pause_s)
            found[name] = Pace([_crossed(*each) for each in sent], sent_ms - kept_ms)
    return found


@contextlib.asynccontextmanager
async def _site() -> AsyncIterator[tuple[Device, Device]]:
    """Start a broker and an edge agent; yield a device that keeps all, and one that sends."""
    with tempfile.TemporaryDirectory() as folder:
        up = on_free_ports(load(UpSettings, UP), Path(folder) / "broker")
        agents = read_agents(up, overrides={"log.format": "json", "log.level": "warning"})
        (edge,) = [agent for agent in agents if agent.role == "edge"]
        own = next(a.settings for a in agents if isinstance(a.settings, DeviceSettings))
        logs = Path(folder) / "logs"
        logs.mkdir()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(running(up.broker, [edge], logs))
            devices = [
                await stack.enter_async_context(Device.open(_with(own, name, policy)))
                for name, policy in (("keeper", KeepAll()), ("sender", PassAll()))
            ]
            for device in devices:
                await device.parts.bus.wait_connected(_CONNECTED_S)
            await asyncio.sleep(_SETTLE_S)  # the edge's status arrives
            yield devices[0], devices[1]


def _with(settings: DeviceSettings, name: str, policy: PolicySettings) -> DeviceSettings:
    tier = msgspec.structs.replace(settings.tier, policy=policy)
    return msgspec.structs.replace(
        settings,
        agent=name,
        tier=tier,
        metrics=MetricsSettings(),
        node=NodeSettings(report=False),
    )


async def _ask(
    device: Device, options: dict[str, int], prompts: int, pause_s: float
) -> tuple[list[tuple[Result, float]], float]:
    """Return the results with the ms that each took, and the ms of this process for one."""
    results = []
    spent_s = 0.0
    for _ in range(prompts):
        await asyncio.sleep(pause_s)
        begun_s, before_s = time.perf_counter(), time.process_time()
        result = await device.ask(_TEXT, task="generate", options=options, timeout_s=60.0)
        spent_s += time.process_time() - before_s
        results.append((result, (time.perf_counter() - begun_s) * 1000))
    return results, spent_s * 1000 / prompts


def _crossed(result: Result, whole_ms: float) -> Crossed:
    if not isinstance(result.outcome, Completion) or len(result.hops) != 2:  # noqa: PLR2004
        raise DataError(f"a text did not come from the edge: {result.outcome} {result.degraded}")
    below, above = (hop.elapsed_us / 1000 for hop in result.hops)
    return Crossed(whole_ms, below, above)


def _grid(name: str, crossed: Sequence[Crossed]) -> Grid:
    parts = {
        "in all": [each.whole_ms for each in crossed],
        "the device's own": [each.device_ms for each in crossed],
        "the edge's own": [each.edge_ms for each in crossed],
        "the wire, both ways": [each.wire_ms for each in crossed],
    }
    rows = [
        [part, *(f"{value:.2f}" for value in np.quantile(ms, [0.5, 0.9, 0.99]))]
        for part, ms in parts.items()
    ]
    return Grid(f"A request, {name}: ms", ["", "p50", "p90", "p99"], rows)


if __name__ == "__main__":
    main()
