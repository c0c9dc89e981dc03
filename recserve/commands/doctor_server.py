"""What ``recserve doctor`` finds out about the server that runs a model."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from recserve.commands.doctor_broker import Finding
from shared.errors import PromptError, RecServeError
from shared.runtimes import Remote, load_model, probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.agent.settings import AgentSettings
    from shared.runtimes import ModelSettings

_RUNS: Final = 5
_SHOWN: Final = 5


def check_server(settings: AgentSettings) -> Iterator[Finding]:
    """Yield whether it can be reached, has the model, and tells log probabilities."""
    try:
        model = load_model(settings.model)
    except RecServeError as error:
        yield Finding("failed", "model", str(error))
        return
    assert isinstance(model, Remote)  # noqa: S101 - the runtime's
    yield _time(model)
    yield _find_listed(settings.model)
    yield _judge_certainty(settings, model)


def _time(model: Remote) -> Finding:
    """Time a prompt with an answer of two tokens, connecting included."""
    times_ms = []
    for _ in range(_RUNS):
        started_s = time.perf_counter()
        (entry,) = model.answer([probe(model, "generate", "the new valve works well")])
        times_ms.append((time.perf_counter() - started_s) * 1000)
        if isinstance(entry, PromptError):
            return Finding("failed", "model", f"{model.name}: {entry}")
    took_ms = statistics.median(times_ms)
    return Finding("ok", "model", f"{model.name}: answers, {took_ms:.0f} ms for two tokens")


def _find_listed(settings: ModelSettings) -> Finding:
    from shared.runtimes.openai_server import listed_models  # noqa: PLC0415 - optional

    try:
        names = listed_models(settings)
    except RecServeError as error:
        return Finding("warning", "server", f"it does not say which models it has: {error}")
    if settings.model in names:
        return Finding("ok", "server", f"lists {settings.model}, one of {len(names)}")
    others = ", ".join(names[:_SHOWN]) or "nothing"
    return Finding(
        "warning",
        "server",
        f"does not list {settings.model}, but {others}: it may answer with another model; check "
        "model.model",
    )


def _judge_certainty(settings: AgentSettings, model: Remote) -> Finding:
    if model.certain:
        return Finding("ok", "confidence", "the server tells log probabilities")
    if settings.tier.upstream:
        return Finding(
            "failed",
            "confidence",
            "the server tells no log probabilities, so this can only be the top of the cascade: "
            "remove tier.upstream, or take a server that tells them",
        )
    return Finding(
        "warning",
        "confidence",
        "the server tells no log probabilities: every answer has confidence 1, which is of use at "
        "the top of the cascade alone",
    )
