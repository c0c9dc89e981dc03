"""A bundle that writes texts, as an agent's settings want it served, whatever its engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import BundleError
from shared.runtimes.bundle import Bundle, check_runtime
from shared.runtimes.chat import Prompter
from shared.runtimes.text_manifest import served_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.runtimes.chat import Tokens
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Task
    from shared.tasks.generate import Certainty


class WriterBundle:
    """What an engine knows of its model before it loads it."""

    def __init__(self, settings: ModelSettings, runtime: str) -> None:
        """Open the bundle that the settings name. Raises ``BundleError``."""
        self._settings = settings
        self.bundle = Bundle.open(settings.source)
        check_runtime(self.bundle, runtime)
        manifest = self.bundle.manifest
        self.name = manifest.name
        self.digest = served_digest(self.bundle.digest, settings)
        packed = _certainty_of(self.bundle, runtime)
        self.certainty: Certainty = settings.certainty or packed
        self.expected: Mapping[Task, tuple[float, ...]] = (
            self.bundle.expected_of(None) if self.certainty == packed else {}
        )

    def prompter(
        self, tokens: Tokens, *, chats: bool, special: Sequence[str], apart: bool = False
    ) -> Prompter:
        """Return what makes of requests what the model reads; see ``Prompter``."""
        settings, reads = self._settings, self.bundle.manifest.max_tokens
        return Prompter(
            tokens,
            context_tokens=min(reads, settings.max_tokens or reads),
            chats=chats,
            instruction=settings.instruction,
            max_new_tokens=settings.max_new_tokens,
            labels=settings.labels,
            special=special,
            apart=apart,
        )


def _certainty_of(bundle: Bundle, runtime: str) -> Certainty:
    match bundle.manifest.confidence:
        case "perplexity" | "mean" | "least" as certainty:
            return certainty
    task = bundle.manifest.task
    raise BundleError(f"{bundle.folder}: is for {task}, which the runtime {runtime} cannot do")
