"""A model behind a server, and whatever a server may say or leave unsaid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import structlog

from shared.errors import BundleError, InvalidPrompt, ModelFailed, ServerAway, SettingsError
from shared.messages import Scored
from shared.runtimes import (
    ModelSettings,
    confidence_kind_of,
    load_model,
    openai_server,
)
from shared.runtimes.openai_server import OpenaiModel, open_openai
from shared.tasks import Exemplar, Request
from shared.tasks.classify import Label
from tests.support.llama_server import NAME
from tests.support.rude_server import Asked, completion, http, refusal, rude_server
from tests.support.server_models import ask, named, text_of

if TYPE_CHECKING:
    from collections.abc import Callable


pytest.importorskip("httpx2")

KEY = "sk-a-key-that-nobody-sees"


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


def test_of_a_server_without_log_probabilities_nobody_knows_how_sure_it_is() -> None:
    with rude_server(lambda asked, number: http("200 OK", completion("Yes."))) as server:
        model = open_openai(named(server.url, labels=("yes", "no")))
        said = ask(model)
        (label,) = model.answer([Request("classify", "does it leak?")])

    assert not model.certain
    assert (text_of(said).text, said.confidence, said.confidence_kind) == ("Yes.", 1.0, "unknown")
    assert isinstance(label, Scored)
    assert (label.answer, label.confidence) == (Label("yes"), 1.0)
    assert label.confidence_kind == confidence_kind_of(model) == "unknown"
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


def test_examples_are_turns_before_the_prompt() -> None:
    with rude_server(lambda asked, number: http("200 OK", completion("yes", -0.1))) as server:
        model = open_openai(named(server.url))
        options = {"labels": ["yes", "no"], "instruction": "Leaks?"}
        model.answer([Request("classify", "drip", options, (Exemplar("dry", "no"),))])

    assert [tuple(turn.values()) for turn in server.asked[-1].body["messages"]] == [
        ("system", "Leaks?"), ("user", "dry"), ("assistant", "no"), ("user", "drip")
    ]  # fmt: skip
    assert model.prompter.tokens_of(Exemplar("dry", "no")) > 5


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
        (
            http("301 Moved", "", "Location: http://x/"),
            ServerAway,
            r"HTTP 301, http://x/; see to it",
        ),
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
