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
from typing import TYPE_CHECKING, NamedTuple

import click
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from shared.agent import build as assembly
from shared.runtimes import labels_of, load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Entry, Model, ModelSettings
    from shared.tasks import Request, Task

KILLED_BY_PROMPT = 42
"""Exit status of an agent that a poison prompt has killed."""


class Trouble(NamedTuple):
    """What is wrong with a model: times in seconds, texts that bring it down or nothing."""

    prompt_s: float
    batch_s: float
    poison: str
    panic: str


class Troubled:
    """A model that takes longer, that dies of one text with the process, and panics at another."""

    def __init__(self, model: Model, trouble: Trouble) -> None:
        self._model = model
        self._trouble = trouble
        self.name = model.name
        self.digest = model.digest
        self.tasks: frozenset[Task] = model.tasks
        self.labels = labels_of(model)

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does, if we live."""
        trouble = self._trouble
        texts = [request.content for request in requests]
        if trouble.poison and any(trouble.poison in text for text in texts):
            os._exit(KILLED_BY_PROMPT)
        if trouble.panic and any(trouble.panic in text for text in texts):
            _panic()
        time.sleep(trouble.batch_s + trouble.prompt_s * len(texts))
        return self._model.answer(requests)

    def close(self) -> None:
        """Close the model."""
        self._model.close()


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("role", type=click.Choice(["device", "edge", "cloud"]))
@click.option("--slow-s", default=0.0, help="Seconds that every prompt takes in addition.")
@click.option("--batch-s", default=0.0, help="Seconds that every batch takes, of any size.")
@click.option("--poison", default="", help="Text that kills the agent.")
@click.option("--panic", default="", help="Text at which the engine panics.")
@click.option("--clock-s", default=0.0, help="Seconds that the wall clock is wrong by.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(
    role: str,
    slow_s: float,
    batch_s: float,
    poison: str,
    panic: str,
    clock_s: float,
    arguments: tuple[str, ...],
) -> None:
    """Run the agent of ROLE with its own ARGUMENTS."""
    if clock_s:
        _shift_clock(clock_s)

    def load_troubled(settings: ModelSettings) -> Model:
        return Troubled(load_model(settings), Trouble(slow_s, batch_s, poison, panic))

    vars(assembly)["load_model"] = load_troubled
    sys.argv = [f"{role}_agent", *arguments]
    importlib.import_module(f"{role}_agent.__main__").command()


def _panic() -> None:
    """Let a real engine panic: a regular expression runs away, and no ``Exception`` says so."""
    runaway = Split(Regex(r"(x+x+)+y"), "isolated")
    runaway.pre_tokenize_str("x" * 40)


def _shift_clock(wrong_by_s: float) -> None:
    """Make the wall clock wrong; the monotonic one stays, as on a machine."""
    right, state = time.time, {"shift_s": wrong_by_s}

    def turn(_number: int, _frame: object) -> None:
        state["shift_s"] = -state["shift_s"]

    signal.signal(signal.SIGUSR1, turn)
    time.time = lambda: right() + state["shift_s"]


if __name__ == "__main__":
    main()
