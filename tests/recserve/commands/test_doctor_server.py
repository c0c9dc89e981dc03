"""What ``recserve doctor`` says of the server that runs a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from recserve.commands.doctor_server import check_server
from shared.agent.settings import AgentSettings
from tests.support.llama_server import NAME, llama_server
from tests.support.rude_server import completion, http, rude_server

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("httpx2")


def found(url: str, model: str = NAME, **tier: str) -> dict[str, tuple[str, str]]:
    settings: dict[str, Any] = {
        "agent": "cloud-1",
        "tier": {"name": "cloud", **tier},
        "model": {"runtime": "openai", "source": url, "model": model},
    }
    findings = check_server(msgspec.convert(settings, AgentSettings))
    return {finding.check: (finding.verdict, finding.detail) for finding in findings}


def test_a_server_that_has_the_model_and_is_sure_is_fit(tmp_path: Path) -> None:
    with llama_server(tmp_path) as llama:
        fit = found(llama.url, upstream="beyond")
        other = found(llama.url, model="another")

    assert {check: verdict for check, (verdict, _) in fit.items()} == {
        "model": "ok",
        "server": "ok",
        "confidence": "ok",
    }
    assert "ms for two tokens" in fit["model"][1]
    assert other["server"][0] == "warning", "llama.cpp answers whatever name it is given"
    assert "does not list another, but tiny" in other["server"][1]


def test_a_server_that_is_not_there_is_all_there_is_to_say() -> None:
    assert list(found("http://127.0.0.1:1/v1")) == ["model"]


def test_a_server_without_log_probabilities_is_for_the_top_alone() -> None:
    with rude_server(lambda asked, number: http("200 OK", completion())) as server:
        top, between = found(server.url), found(server.url, upstream="beyond")

    assert (top["confidence"][0], between["confidence"][0]) == ("warning", "failed")
    assert "remove tier.upstream" in between["confidence"][1]
    assert top["server"][0] == "warning"
    assert "does not say which models it has" in top["server"][1]
