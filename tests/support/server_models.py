"""Models behind servers, as tests ask them."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.messages import Scored
from shared.runtimes import ModelSettings
from shared.tasks import Request
from shared.tasks.generate import Completion
from tests.support.llama_server import NAME


def named(url: str, **more: Any) -> ModelSettings:
    """Return the settings of a model at a server."""
    fields = {"runtime": "openai", "source": url, "model": NAME, **more}
    return msgspec.convert(fields, ModelSettings)


def ask(model: Any, text: str = "the valve sticks", **options: Any) -> Scored:
    """Have a text written; what the model says instead of one is raised."""
    (entry,) = model.answer([Request("generate", text, options)])
    if isinstance(entry, Exception):
        raise entry
    assert isinstance(entry, Scored)
    return entry


def text_of(scored: Scored) -> Completion:
    """Return the text that was written."""
    assert isinstance(scored.answer, Completion)
    return scored.answer
