"""A list of requests through a generator, for whoever waits for all of them together."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from shared.errors import ModelFailed, PromptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.runtimes.model import Entry, Generation, Generator
    from shared.tasks import Request


def answer_all(generator: Generator, requests: Sequence[Request]) -> list[Entry]:
    """Return exactly one entry per request, in order, as many under way at once as may be."""
    entries: dict[int, Entry] = {}
    waiting = deque(enumerate(requests))
    running: dict[int, Generation] = {}
    while waiting or running:
        while waiting and len(running) < generator.at_once:
            index, request = waiting[0]
            try:
                generation = generator.begin(request)
            except PromptError as error:
                entries[index] = error
            else:
                if running and not has_room(generator, running.values(), generation):
                    generation.close()
                    break
                running[index] = generation
            waiting.popleft()
        places = list(running)
        for index, entry in zip(places, generator.step(list(running.values())), strict=True):
            if entry is not None:
                entries[index] = entry
                running.pop(index).close()
    return [entries[index] for index in range(len(requests))]


def has_room(generator: Generator, running: Iterable[Generation], generation: Generation) -> bool:
    """Say whether the tokens of one more fit beside those that are under way."""
    held = sum(other.tokens for other in running)
    return held + generation.tokens <= generator.tokens_at_once


def could_not_go_on(error: Exception) -> ModelFailed:
    """Return what becomes of a request at which an engine raised."""
    return ModelFailed(f"the model could not go on: {type(error).__name__}: {error}")
