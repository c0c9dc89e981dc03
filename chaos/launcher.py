"""Starts an agent whose model, or whose clock, misbehaves; the agent itself is the real one.

``python -m chaos.launcher edge --slow-s 0.1 -- --config edge.yaml``. SIGUSR1 turns a wrong clock
the other way round.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from shared import assembly
from shared.runtimes import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.errors import ModelFailed
    from shared.messages import Scored, Task
    from shared.runtimes import Model, ModelSettings

KILLED_BY_PROMPT = 42
"""Exit status of an agent that a poison prompt has killed."""


class Troubled:
    """A model that takes longer, and that dies of one text with the process around it."""

    def __init__(self, model: Model, *, slow_s: float, poison: str) -> None:
        self._model = model
        self._slow_s = slow_s
        self._poison = poison
        self.name = model.name
        self.tasks: frozenset[Task] = model.tasks
        self.labels = model.labels

    def answer(self, texts: Sequence[str]) -> list[Scored | ModelFailed]:
        """Answer as the model does, if we live."""
        if self._poison and any(self._poison in text for text in texts):
            os._exit(KILLED_BY_PROMPT)
        time.sleep(self._slow_s * len(texts))
        return self._model.answer(texts)

    def close(self) -> None:
        """Close the model."""
        self._model.close()


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("role", type=click.Choice(["device", "edge", "cloud"]))
@click.option("--slow-s", default=0.0, help="Seconds that every prompt takes in addition.")
@click.option("--poison", default="", help="Text that kills the agent.")
@click.option("--clock-s", default=0.0, help="Seconds that the wall clock is wrong by.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(role: str, slow_s: float, poison: str, clock_s: float, arguments: tuple[str, ...]) -> None:
    """Run the agent of ROLE with its own ARGUMENTS."""
    if clock_s:
        _shift_clock(clock_s)

    def load_troubled(settings: ModelSettings) -> Model:
        return Troubled(load_model(settings), slow_s=slow_s, poison=poison)

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
