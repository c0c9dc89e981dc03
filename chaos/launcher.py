"""Starts an agent whose model, or whose clock, misbehaves; the agent itself is the real one.

``python -m chaos.launcher edge --slow-s 0.1 -- --config edge.yaml``. SIGUSR1 turns a wrong clock
the other way round.
"""

from __future__ import annotations

import importlib
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from chaos.troubled import Trouble, troubled
from shared.agent import build as assembly
from shared.runtimes import load_model

if TYPE_CHECKING:
    from shared.runtimes import Model, ModelSettings


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("role", type=click.Choice(["device", "edge", "cloud"]))
@click.option("--slow-s", default=0.0, help="Seconds that every prompt takes in addition.")
@click.option("--batch-s", default=0.0, help="Seconds that every batch takes, of any size.")
@click.option("--poison", default="", help="Text that kills the agent.")
@click.option("--panic", default="", help="Text at which the engine panics.")
@click.option("--tells", is_flag=True, help="Say on standard error what the model begins with.")
@click.option("--clock-s", default=0.0, help="Seconds that the wall clock is wrong by.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(
    role: str,
    slow_s: float,
    batch_s: float,
    poison: str,
    panic: str,
    *,
    tells: bool,
    clock_s: float,
    arguments: tuple[str, ...],
) -> None:
    """Run the agent of ROLE with its own ARGUMENTS."""
    if clock_s:
        _shift_clock(clock_s)

    def load_troubled(settings: ModelSettings) -> Model:
        return troubled(load_model(settings), Trouble(slow_s, batch_s, poison, panic, tells))

    vars(assembly)["load_model"] = load_troubled
    sys.argv = [f"{role}_agent", *arguments]
    importlib.import_module(f"{role}_agent.__main__").command()


def _shift_clock(wrong_by_s: float) -> None:
    """Make the wall clock wrong; the monotonic one stays, as on a machine."""
    right, state = time.time, {"shift_s": wrong_by_s}

    def turn(_number: int, _frame: object) -> None:
        state["shift_s"] = -state["shift_s"]

    signal.signal(signal.SIGUSR1, turn)
    time.time = lambda: right() + state["shift_s"]


if __name__ == "__main__":
    main()
