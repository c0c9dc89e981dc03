"""One text through a model in a process of its own, which may hang or die without harm to ours.

``python -m recserve.sandbox`` is that process: the model's settings and the letter come on standard
input, what became of them goes out on standard output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from shared.errors import PromptError, RecServeError
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Options, Request, Task, to_line

if TYPE_CHECKING:
    from shared.storage.dead_letters import DeadLetter


class SandboxAnswer(msgspec.Struct, frozen=True, tag="answered"):
    """What the model said, in one line."""

    line: str
    confidence: float
    elapsed_us: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why the model said nothing."""

    reason: str


class _Order(msgspec.Struct, frozen=True):
    model: ModelSettings
    task: Task
    text: str
    options: Options


def run_apart(model: ModelSettings, letter: DeadLetter, timeout_s: float) -> SandboxAnswer | Failed:
    """Load the model anew, give it the letter's text, and return what became of it.

    The process is killed when that takes longer than ``timeout_s``.
    """
    order = msgspec.json.encode(_Order(model, letter.task, letter.text, letter.options))
    command = [sys.executable, "-m", "recserve.sandbox"]
    try:
        ran = subprocess.run(  # noqa: S603 - ourselves
            command, input=order, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Failed(f"the model was not done after {timeout_s:g} s")
    if ran.returncode < 0:
        died_of = signal.strsignal(-ran.returncode) or f"signal {-ran.returncode}"
        return Failed(f"the model's process died: {died_of}")
    if ran.returncode > 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines() or [""]
        return Failed(f"the model's process ended with {ran.returncode}: {said[-1]}")
    return msgspec.json.decode(ran.stdout, type=SandboxAnswer | Failed)


def _try(order: _Order) -> SandboxAnswer | Failed:
    try:
        model = load_model(order.model)
    except RecServeError as error:
        return Failed(str(error))
    if order.task not in model.tasks:
        return Failed(f"{model.name} does not {order.task}")
    (outcome,) = model.answer([Request(order.task, order.text, order.options)])
    if isinstance(outcome, PromptError):
        return Failed(str(outcome))
    return SandboxAnswer(to_line(outcome.answer), outcome.confidence, outcome.elapsed_us)


def _main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # what an engine prints is not our answer
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
    os.write(out, msgspec.json.encode(_try(order)))


if __name__ == "__main__":
    _main()
