"""A model behind a server: llama.cpp as it is, and servers that behave in every other way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from shared.errors import BundleError, InvalidPrompt, ModelFailed, ServerAway, SettingsError
from shared.messages import Scored
from shared.runtimes import (
    ModelSettings,
    Remote,
    labels_of,
    load_model,
    openai_server,
    short_digest,
)
from shared.runtimes.openai_server import OpenaiModel, open_openai
from shared.tasks import Request
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from tests.support.llama_server import CONTEXT_TOKENS, NAME, llama_server
from tests.support.rude_server import Asked, completion, http, refusal, rude_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


def named(url: str, **more: Any) -> ModelSettings:
    fields = {"runtime": "openai", "source": url, "model": NAME, **more}
    return msgspec.convert(fields, ModelSettings)


def ask(model: Any, text: str = "the valve sticks", **options: Any) -> Scored:
    (entry,) = model.answer([Request("generate", text, options)])
    if isinstance(entry, Exception):
        raise entry
    assert isinstance(entry, Scored)
    return entry


def text_of(scored: Scored) -> Completion:
    assert isinstance(scored.answer, Completion)
    return scored.answer


# -- llama.cpp -----------------------------------------------------------------------------------


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


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"source": "bundles/cloud"}, r"needs the URL of an API"),
        ({"source": "http:///v1"}, r"needs the URL of an API"),
        ({"source": "http://me:secret@host/v1"}, r"user or password"),
        ({"model": ""}, r"model\.model is missing"),
        ({"key_env": "NOT_SET_ANYWHERE"}, r"names NOT_SET_ANYWHERE, where there is no key"),
        ({"key_file": "no/such/file"}, r"model\.key_file 'no/such/file' cannot be read"),
        ({"key_env": "A", "key_file": "b"}, r"two keys"),
        ({"headers": {"x-key": "a\r\nb: c"}}, r"model\.headers\.x-key"),
        ({"threads": 4}, r"model\.threads has no meaning"),
        ({"batch_prompts": 4}, r"model\.batch_prompts has no meaning"),
    ],
)
def test_settings_that_make_no_sense_stop_the_start(wrong: dict[str, Any], reason: str) -> None:
    fields = {"source": "http://127.0.0.1:1/v1", "runtime": "openai", "model": NAME}
    with pytest.raises(SettingsError, match=reason) as caught:
        load_model(msgspec.convert(fields | wrong, ModelSettings))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://localhost:1/v1", False),
        ("http://192.0.2.1:1/v1", True),
        ("https://192.0.2.1:1/v1", False),
    ],
)
def test_prompts_that_would_leave_in_the_clear_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, url: str, warned: bool
) -> None:
    monkeypatch.setattr(openai_server, "_MEET_S", 0.1)
    with structlog.testing.capture_logs() as logs, pytest.raises(BundleError):
        load_model(named(url))

    assert any("in the clear" in line["event"] for line in logs) == warned


def test_its_settings_are_for_no_other_runtime() -> None:
    with pytest.raises(
        SettingsError, match=r"model\.in_flight has no meaning for the runtime onnx"
    ):
        load_model(ModelSettings(source="bundle", in_flight=3))


# -- other servers -------------------------------------------------------------------------------


def opened(reply: Callable[[Asked, int], bytes], **more: Any) -> Any:
    with rude_server(reply) as server:
        return open_openai(named(server.url, **more))


def test_a_server_without_log_probabilities_is_as_sure_as_can_be() -> None:
    with rude_server(lambda asked, number: http("200 OK", completion("Yes."))) as server:
        model = open_openai(named(server.url, labels=("yes", "no")))
        said = ask(model)
        (label,) = model.answer([Request("classify", "does it leak?")])

    assert not model.certain
    assert (text_of(said).text, said.confidence) == ("Yes.", 1.0)
    assert isinstance(label, Scored)
    assert (label.answer, label.confidence) == (Label("yes"), 1.0)
    assert "logprobs" not in server.asked[-1].body


def test_a_server_that_refuses_log_probabilities_is_asked_without() -> None:
    def reply(asked: Asked, number: int) -> bytes:
        if "logprobs" in asked.body:
            return http("400 Bad Request", refusal("logprobs are not supported"))
        return http("200 OK", completion())

    assert not opened(reply).certain


def test_a_server_with_another_word_for_the_length_is_asked_with_that() -> None:
    def reply(asked: Asked, number: int) -> bytes:
        if "max_tokens" in asked.body:
            return http("400 Bad Request", refusal("use max_completion_tokens"))
        return http("200 OK", completion("yes", -0.1))

    with rude_server(reply) as server:
        model = open_openai(named(server.url))
        ask(model, max_new_tokens=7)

    assert model.certain
    assert server.asked[-1].body["max_completion_tokens"] == 7


def test_the_key_and_headers_go_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    with rude_server(lambda asked, number: http("200 OK", completion())) as server:
        ask(open_openai(named(server.url, key_env="SERVER_KEY", headers={"X-Tenant": "pumps"})))

    assert len(server.asked) == 2
    for asked in server.asked:
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.headers["x-tenant"] == "pumps"


def test_vllm_is_told_of_constraints_in_its_own_words() -> None:
    with rude_server(lambda asked, number: http("200 OK", completion("a", -0.5))) as server:
        model = open_openai(named(server.url, constraints="vllm"))
        for option in ({"regex": "a+"}, {"choices": ["a", "b"]}, {"json_schema": {"type": "null"}}):
            ask(model, **option)

    assert [asked.body["structured_outputs"] for asked in server.asked[-3:]] == [
        {"regex": "a+"},
        {"choice": ["a", "b"]},
        {"json": {"type": "null"}},
    ]


CUT = http("200 OK", completion("yes", -0.1))[:-20] + b""


@pytest.mark.parametrize(
    ("said", "error", "reason"),
    [
        (http("200 OK", "<html>hello"), ModelFailed, r"answers with text/html, which is no chat"),
        (http("200 OK", {"choices": []}), ModelFailed, r"which is no chat completion"),
        (http("200 OK", {"choices": "many"}), ModelFailed, r"which is no chat completion"),
        (b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n", ModelFailed, r"the request failed"),
        (
            CUT.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close"),
            ModelFailed,
            r"the request failed",
        ),
        (http("500 Oops", refusal("out of memory")), ModelFailed, r"HTTP 500, out of memory"),
        (http("502 Bad Gateway", "<html>"), ModelFailed, r"HTTP 502, Bad Gateway"),
        (http("400 Bad", refusal("too long")), InvalidPrompt, r"HTTP 400, too long"),
        (http("401 No", refusal(f"wrong: {KEY}")), ServerAway, r"wrong: \*\*\*; check the key"),
        (http("404 No", refusal("no such model")), ServerAway, r"no such model; is model\.source"),
        (http("301 Moved", "", "Location: http://x/"), ServerAway, r"redirects are not followed"),
        (http("429 Slow", refusal("spent")), ServerAway, r"HTTP 429, spent"),
        (http("503 Later", refusal("loading")), ServerAway, r"HTTP 503, loading"),
        (
            http("200 OK", completion("", -0.1, finish_reason="content_filter")),
            InvalidPrompt,
            r"filter",
        ),
    ],
)
def test_whatever_a_server_says_becomes_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, said: bytes, error: type[Exception], reason: str
) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    good = http("200 OK", completion("yes", -0.1))
    with rude_server(lambda asked, number: said if number else good) as server:
        model = open_openai(named(server.url, key_env="SERVER_KEY"))
        with pytest.raises(error, match=reason) as caught:
            ask(model)
    assert KEY not in str(caught.value)
    assert isinstance(model, OpenaiModel)


def test_an_endless_answer_is_let_go() -> None:
    good, endless = http("200 OK", completion("yes", -0.1)), http("200 OK", "x" * (17 << 20))
    with rude_server(lambda asked, number: endless if number else good) as server:
        model = open_openai(named(server.url))
        with pytest.raises(ModelFailed, match="more than 16 MiB"):
            ask(model)


def test_an_answer_with_nul_or_lone_surrogates_can_be_carried() -> None:
    body = b'{"choices": [{"message": {"content": "a\\u0000b"}}]}'
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with rude_server(lambda asked, number: raw) as server:
        assert text_of(ask(open_openai(named(server.url)))).text == "a\ufffdb"


def test_a_server_that_loads_the_model_is_waited_for() -> None:
    loading = http("503 Later", refusal("loading"), "Retry-After: 0")
    good = http("200 OK", completion("yes", -0.1))

    assert opened(lambda asked, number: good if number > 2 else loading).certain


def test_a_server_that_is_never_ready_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_server, "_MEET_S", 0.2)
    with pytest.raises(BundleError, match=r"the model tiny gave no answer within 0\.2 s"):
        opened(lambda asked, number: http("503 Later", refusal("loading")))


def test_a_model_that_the_server_does_not_take_stops_the_start() -> None:
    with pytest.raises(BundleError, match=r"HTTP 400, no model called tiny; is this the model's"):
        opened(lambda asked, number: http("400 Bad", refusal("no model called tiny")))
