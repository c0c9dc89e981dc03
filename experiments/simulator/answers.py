"""What the models of a plan say to its prompts: they are asked once, and their answers are kept."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from experiments.evaluation.answer_store import open_store, prompt_key
from experiments.evaluation.answering import answer_missing
from experiments.evaluation.tier_models import read_facts
from experiments.simulator.station import RecordedAnswer
from shared.errors import SettingsError
from shared.runtimes.bundle import Bundle
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from experiments.evaluation.answer_store import Kept
    from experiments.evaluation.tier_models import ModelFacts
    from experiments.replay.schedule import ScheduledRequest
    from experiments.simulator.settings import PlanSettings
    from shared.agent.settings import AgentSettings
    from shared.messages import ConfidenceKind
    from shared.runtimes import ModelSettings
    from shared.tasks import Task


class SpokenByTier(NamedTuple):
    """What one tier's model is for, says to every prompt, and is known to say as a rule.

    ``spoken`` is by ``prompt_key``, ``expected`` are quantiles of the confidences.
    """

    task: Task
    spoken: Mapping[bytes, RecordedAnswer]
    expected: Sequence[float]


def ask_models(
    plan: PlanSettings,
    tiers: Sequence[AgentSettings],
    plays: Iterable[ScheduledRequest],
    console: Console,
) -> list[SpokenByTier]:
    """Return what every tier's model says to the prompts.

    Raises ``SettingsError`` where one is for another task, ``BundleError`` or ``DataError``.
    """
    asked = _distinct(plays)
    bundles = [Bundle.open(settings.model.source) for settings in tiers]
    for settings, bundle in zip(tiers, bundles, strict=True):
        _check_tasks(settings.tier.name, bundle.manifest.task, asked.values())
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    found = []
    with Progress(*columns, console=console, transient=True) as progress:
        for settings, bundle in zip(tiers, bundles, strict=True):
            facts, task = read_facts(settings.model), bundle.manifest.task
            bar = progress.add_task(f"what {settings.tier.name} says", total=len(asked))
            with open_store(Path(plan.answers), facts.fingerprint, task=task) as store:
                advance = partial(progress.advance, bar)
                answer_missing(plan.trace.file, list(asked.values()), facts, store, advance)
                kept = {key: store.answers[key] for key in asked}
            kind = _kind(bundle, settings.model, facts)
            spoken = {
                key: _spoken(request, kept[key], facts, kind, as_asked=plan.lengths == "asked")
                for key, request in asked.items()
            }
            found.append(SpokenByTier(task, spoken, _expected(bundle, settings.model, kind)))
    return found


def _distinct(plays: Iterable[ScheduledRequest]) -> dict[bytes, Request]:
    """Return what is asked, in an order that does not depend on who comes first."""
    asked = {
        prompt_key(play.text, play.options): Request(play.task, play.text, play.options)
        for play in plays
    }
    return dict(sorted(asked.items()))


def _check_tasks(tier: str, task: Task, asked: Iterable[Request]) -> None:
    """Refuse prompts that a tier's model is not for."""
    for request in asked:
        if request.task != task or (task == "classify" and request.options):
            wanted = f"{request.task} with options" if request.options else request.task
            raise SettingsError(
                f"tiers: {tier} has a model for {task}, and the trace asks to {wanted}; that is "
                "not simulated: give the tier another model, or the trace another task"
            )


def _spoken(
    request: Request, kept: Kept, facts: ModelFacts, kind: ConfidenceKind, *, as_asked: bool
) -> RecordedAnswer:
    if request.task == "classify":
        judged = facts.judge(request.content, kept.probabilities)
        return RecordedAnswer(Label(facts.labels[judged.label]), judged.confidence, kind)
    answer = kept.answer
    asked = request.options.get("max_new_tokens")
    if as_asked and isinstance(answer, Completion) and isinstance(asked, int):
        answer = msgspec.structs.replace(answer, tokens_out=asked)
    return RecordedAnswer(answer, kept.confidence, kind)


def _kind(bundle: Bundle, model: ModelSettings, facts: ModelFacts) -> ConfidenceKind:
    """Return which number the model's confidence is."""
    manifest = bundle.manifest
    if manifest.task == "generate":
        return model.certainty or manifest.confidence
    if manifest.task == "tag":
        return manifest.certainty
    return "max_probability" if facts.second is None else "agreement"


def _expected(bundle: Bundle, model: ModelSettings, kind: ConfidenceKind) -> Sequence[float]:
    manifest = bundle.manifest
    if manifest.task == "generate" and kind != manifest.confidence:
        return ()
    return bundle.expected_of(model.answer).get(manifest.task, ())
