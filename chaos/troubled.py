"""Models that take longer, die of a text with their process, or panic at one; else as they are."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from shared.runtimes import Generator
from shared.runtimes.around import GenerationAround, GeneratorAround, ModelAround

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Entry, Generation, Model
    from shared.tasks import Request

KILLED_BY_PROMPT: Final = 42
"""Exit status of an agent that a poison prompt has killed."""
_BEGINS: Final = "begins: "
_PAUSE_S: Final = 0.02


class Trouble(NamedTuple):
    """What is wrong with a model: times in seconds, texts that bring it down or nothing.

    A model that ``tells`` says on standard error what it begins with: see ``begun_of``.
    """

    prompt_s: float = 0.0
    batch_s: float = 0.0
    poison: str = ""
    panic: str = ""
    tells: bool = False

    def meet(self, texts: Sequence[str]) -> None:
        """Begin with texts: note them, or die of one, or panic at one."""
        if self.tells:
            sys.stderr.write("".join(f"{_BEGINS}{text}\n" for text in texts))
            sys.stderr.flush()
        if self.poison and any(self.poison in text for text in texts):
            os._exit(KILLED_BY_PROMPT)
        if self.panic and any(self.panic in text for text in texts):
            _panic()
        time.sleep(self.prompt_s * len(texts))


def begun_of(log: str) -> Counter[str]:
    """Return what a model that tells has begun with, and how often, by its agent's log."""
    lines = log.splitlines()
    return Counter(line.removeprefix(_BEGINS) for line in lines if line.startswith(_BEGINS))


def troubled(model: Model, trouble: Trouble) -> Model:
    """Return the model with its trouble."""
    if isinstance(model, Generator):
        return TroubledGenerator(model, trouble)
    return Troubled(model, trouble)


class Troubled(ModelAround):
    """A model that answers a batch at a time."""

    def __init__(self, model: Model, trouble: Trouble) -> None:
        super().__init__(model)
        self._trouble = trouble

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does, if we live."""
        self._trouble.meet([request.content for request in requests])
        time.sleep(self._trouble.batch_s)
        return self._model.answer(requests)


class TroubledGenerator(GeneratorAround):
    """A model that writes; each of its texts is under way for ``batch_s`` at least."""

    def __init__(self, model: Generator, trouble: Trouble) -> None:
        super().__init__(model)
        self._trouble = trouble

    def begin(self, request: Request, *, deadline_s: float = math.inf) -> Generation:
        """Begin as the model does, if we live."""
        self._trouble.meet([request.content])
        inner = self._generator.begin(request, deadline_s=deadline_s)
        return _SlowGeneration(inner, time.monotonic() + self._trouble.batch_s)

    def step(self, generations: Sequence[Generation]) -> Sequence[Entry | None]:
        """Go on as the model does; what has ended before its time is held back."""
        slow = [each for each in generations if isinstance(each, _SlowGeneration)]
        going_on = [each for each in slow if each.entry is None]
        if not going_on:
            time.sleep(_PAUSE_S)
        entries = self._generator.step([each.inner for each in going_on])
        for each, entry in zip(going_on, entries, strict=True):
            each.entry = entry
        return [each.entry if time.monotonic() >= each.until_s else None for each in slow]

    def answer(self, requests: Sequence[Request]) -> Sequence[Entry]:
        """Answer as the model does; a start is not held up."""
        return self._model.answer(requests)


class _SlowGeneration(GenerationAround):
    """A text under way, and its entry once it has ended."""

    def __init__(self, inner: Generation, until_s: float) -> None:
        super().__init__(inner)
        self.until_s = until_s
        self.entry: Entry | None = None


def _panic() -> None:
    """Let a real engine panic: a regular expression runs away, and no ``Exception`` says so."""
    runaway = Split(Regex(r"(x+x+)+y"), "isolated")
    runaway.pre_tokenize_str("x" * 40)
