"""Who answers above an edge that remembers: whose answers count, and who gave one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from shared.serving.dispatcher import Dispatcher
    from shared.tasks import Task


class AnswersAbove:
    """The models of the tiers above, as their agents' statuses name them."""

    def __init__(self, above: Dispatcher) -> None:
        self._choice = above.choice
        self._versions: dict[Task, Collection[str]] = {}

    def open(self, task: Task) -> bool:
        """Return whether anybody above is alive who answers a task."""
        return bool(self._choice.models(task, time.monotonic()))

    def gave(self, tier: str) -> bool:
        """Return whether an answer of this tier came from above."""
        return any(tier == roster.tier for roster in self._choice.rosters)

    def model_of(self, agent: str) -> tuple[str, str]:
        """Return the model of an agent and its version, which is its name where it has no other."""
        model, bundle = self._choice.model_of(agent)
        return model, bundle or model

    def versions(self, task: Task) -> Collection[str]:
        """Return the versions that answer now, or did when somebody last answered there."""
        models = self._choice.models(task, time.monotonic())
        if models:
            self._versions[task] = frozenset(bundle or model for model, bundle in models)
        return self._versions.get(task, ())
