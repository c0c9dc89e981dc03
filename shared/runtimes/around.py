"""What stands around a model and says of itself what the model does, but for what it adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.runtimes.model import labels_of

if TYPE_CHECKING:
    from shared.runtimes.model import Generation, Generator, Model


class ModelAround:
    """Has the name, the tasks and the labels of a model, and closes it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.name = model.name
        self.digest = model.digest
        self.tasks = model.tasks
        self.labels = labels_of(model)

    def close(self) -> None:
        """Close the model."""
        self._model.close()


class GeneratorAround(ModelAround):
    """Has as much room as a generator, too."""

    def __init__(self, model: Generator) -> None:
        super().__init__(model)
        self._generator = model
        self.at_once = model.at_once
        self.tokens_at_once = model.tokens_at_once


class GenerationAround:
    """A text under way within another."""

    def __init__(self, inner: Generation) -> None:
        self.inner = inner

    @property
    def tokens(self) -> int:
        """Tokens that it may take up."""
        return self.inner.tokens

    @property
    def written(self) -> int:
        """Tokens written so far."""
        return self.inner.written

    def close(self) -> None:
        """Let go of it."""
        self.inner.close()
