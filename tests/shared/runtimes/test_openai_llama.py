"""A model behind a server: llama.cpp's, as people run it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shared.errors import BundleError, InvalidPrompt
from shared.messages import Scored
from shared.runtimes import (
    ModelSettings,
    Remote,
    labels_of,
    load_model,
    short_digest,
)
from shared.runtimes.openai_server import open_openai
from shared.tasks import Request
from shared.tasks.classify import Label
from tests.support.llama_server import CONTEXT_TOKENS, llama_server
from tests.support.server_models import ask, named, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.llama_server import LlamaServer

pytest.importorskip("httpx2")

KEY = "sk-a-key-that-nobody-sees"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    with llama_server(tmp_path_factory.mktemp("llama"), key=KEY) as server:
        yield server


@pytest.fixture
def settings(llama: LlamaServer, tmp_path: Path) -> ModelSettings:
    (tmp_path / "key").write_text(f"{KEY}\n")
    return named(llama.url, key_file=str(tmp_path / "key"), constraints="llama.cpp")


def test_a_model_is_known_by_its_name_and_where_it_is(
    settings: ModelSettings, llama: LlamaServer
) -> None:
    model = load_model(settings)

    assert isinstance(model, Remote)
    assert model.certain
    assert model.name == f"tiny at {llama.url}"
    assert short_digest(model) == ""
    assert model.tasks == {"generate", "classify"}


def test_a_text_comes_with_its_counts_and_a_confidence_of_its_log_probabilities(
    settings: ModelSettings,
) -> None:
    sure = {
        certainty: ask(
            open_openai(msgspec.structs.replace(settings, certainty=certainty)), max_new_tokens=9
        )
        for certainty in ("perplexity", "mean", "least")
    }

    answers = {text_of(scored) for scored in sure.values()}
    assert len(answers) == 1, "the likeliest tokens are always the same"
    (answer,) = answers
    assert (answer.finish, answer.tokens_out) == ("length", 9)
    assert answer.text
    assert answer.tokens_in > len("the valve sticks")
    mean = sure["mean"].confidence
    assert sure["perplexity"].confidence == pytest.approx(mean / (mean + 1))
    assert 0 < sure["least"].confidence < mean < 1
    assert {name: scored.confidence_kind for name, scored in sure.items()} == {
        name: name for name in sure
    }


def test_sampling_follows_its_seed(settings: ModelSettings) -> None:
    model = open_openai(settings)
    wanted: dict[str, Any] = {"temperature": 1.5, "top_p": 0.9, "max_new_tokens": 24}

    one, same, other = (text_of(ask(model, seed=seed, **wanted)).text for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_a_stop_string_ends_a_text_and_is_not_in_it(settings: ModelSettings) -> None:
    model = open_openai(settings)
    whole = text_of(ask(model, max_new_tokens=12)).text
    stop = whole[5:7]

    stopped = text_of(ask(model, max_new_tokens=12, stop=[stop]))

    assert (stopped.text, stopped.finish) == (whole[: whole.index(stop)], "stop")


def test_the_system_prompt_and_what_was_said_before_are_read(settings: ModelSettings) -> None:
    told = msgspec.structs.replace(settings, instruction="Speak of pumps alone.")
    chat = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]

    plain, instructed, system, chatting = (
        text_of(ask(open_openai(model), max_new_tokens=1, **options)).tokens_in
        for model, options in (
            (settings, {}),
            (told, {}),
            (told, {"system": "Be brief."}),
            (settings, {"messages": chat}),
        )
    )

    assert plain < system < instructed
    assert plain < chatting


def test_a_choice_and_a_schema_are_seen_to_by_the_server(settings: ModelSettings) -> None:
    model = open_openai(settings)
    schema = {"type": "object", "properties": {"leaks": {"type": "boolean"}}, "required": ["leaks"]}

    choice = text_of(ask(model, choices=["yes, it leaks", 'no "leak"']))
    typed = text_of(ask(model, json_schema=schema, max_new_tokens=200))

    assert choice.text in ("yes, it leaks", 'no "leak"')
    assert set(msgspec.json.decode(typed.text)) == {"leaks"}


def test_a_choice_by_json_schema_is_the_choice_alone(settings: ModelSettings) -> None:
    model = open_openai(msgspec.structs.replace(settings, constraints="json_schema"))

    assert text_of(ask(model, choices=["leaks", "sound"])).text in ("leaks", "sound")


@pytest.mark.parametrize(
    ("constraints", "option"),
    [
        ("none", {"choices": ["a", "b"]}),
        ("none", {"regex": "a+"}),
        ("llama.cpp", {"regex": "a+"}),
        ("json_schema", {"regex": "a+"}),
    ],
)
def test_what_the_server_cannot_see_to_is_refused(
    settings: ModelSettings, constraints: str, option: dict[str, Any]
) -> None:
    model = open_openai(
        msgspec.convert(
            {**msgspec.to_builtins(settings), "constraints": constraints}, ModelSettings
        )
    )

    with pytest.raises(InvalidPrompt, match=r"not for this model|cannot see to a regex"):
        ask(model, **option)


def test_a_prompt_beyond_the_context_is_refused_with_the_servers_reason(
    settings: ModelSettings,
) -> None:
    with pytest.raises(
        InvalidPrompt, match=rf"does not take this prompt: HTTP 400.*{CONTEXT_TOKENS}"
    ):
        ask(open_openai(settings), "leaks " * CONTEXT_TOKENS)


def test_labels_are_scored_by_the_likeliest_tokens(settings: ModelSettings) -> None:
    model = load_model(msgspec.structs.replace(settings, labels=("good", "bad", "neither")))

    (own, named) = model.answer(
        [
            Request("classify", "the valve sticks"),
            Request("classify", "the valve sticks", {"labels": ["pump", "valve"]}),
        ]
    )

    assert labels_of(model) == ("good", "bad", "neither")
    assert isinstance(own, Scored)
    assert isinstance(named, Scored)
    assert own.answer in (Label("good"), Label("bad"), Label("neither"))
    assert named.answer in (Label("pump"), Label("valve"))
    for scored, labels in ((own, 3), (named, 2)):
        assert len(scored.probabilities) == labels
        assert math.fsum(scored.probabilities) == pytest.approx(1)
        assert scored.confidence == max(scored.probabilities)
        assert scored.confidence_kind == "max_probability"


def test_a_prompt_to_classify_among_nothing_is_refused(settings: ModelSettings) -> None:
    (entry,) = open_openai(settings).answer([Request("classify", "the valve sticks")])

    assert isinstance(entry, InvalidPrompt)
    assert "no labels of its own" in str(entry)


@pytest.mark.parametrize("key", ["", "sk-another"])
def test_a_wrong_key_stops_the_start_and_is_not_told(
    llama: LlamaServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SERVER_KEY", key or "x")
    settings = named(llama.url, **({"key_env": "SERVER_KEY"} if key else {}))

    with pytest.raises(BundleError, match=r"HTTP 401.*check the key") as caught:
        load_model(settings)
    assert "sk-" not in str(caught.value)


def test_a_server_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(BundleError, match=r"cannot be reached.*is it running there\?"):
        load_model(named("http://127.0.0.1:1/v1"))
