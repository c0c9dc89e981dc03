"""Plans of models that write and tag."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from tests.support.planners import Planner


@pytest.fixture
def captions(planner: Planner) -> Planner:
    """Three captions, translated by the committed models at times made up."""
    pytest.importorskip("onnxruntime_genai")
    texts = planner.folder / "captions.tsv"
    texts.write_text("source\ttarget\nA dog runs.\tEin Hund rennt.\nTwo men sit.\tZwei sitzen.\n")
    planner.settings["trace"] = {
        "file": "poisson:rate=5,span=8",
        "task": "generate",
        "texts": str(texts),
        "text": "source",
        "label": "target",
    }
    for tier, name in zip(planner.settings["tiers"], ("device", "edge", "cloud"), strict=True):
        tier["config"] = f"{ROOT}/configs/demo-text/{name}.yaml"
    return planner


def test_texts_take_the_time_of_their_tokens(captions: Planner) -> None:
    """Without a queue: half a millisecond for each token of the device's own texts."""
    captions.settings["tiers"][0]["set"] = {"tier.policy": {"kind": "keep"}}

    ran = captions.run()

    assert ran.exit_code == 0, ran.output
    report = captions.read("report.json")
    texts = report["texts"]
    assert texts["prompts"] == report["prompts"]["planned"] > 20
    assert texts["chrf"] > 20
    each_ms = 0.5 * texts["tokens_written"] / texts["prompts"]
    each_ms += 0.02 * texts["tokens_read"] / texts["prompts"]
    assert report["latency_ms"]["device"]["p50"] == pytest.approx(each_ms, rel=0.6)
    assert report["tiers"]["device"]["goes_by"] == "perplexity"
    device = report["agents"]["devices"]
    assert device["tokens_written"] == texts["tokens_written"]
    assert "Texts: tokens of each answer" in ran.output


def test_tags_are_planned_as_labels_are(planner: Planner) -> None:
    """All go up once, by the number that the bundles go by."""
    trace = planner.folder / "news.jsonl"
    texts = ("Ada Byron met Li Wei in Oslo.", "Rain fell.", "Nobody at Acme Ltd would say.")
    rows = [{"at_s": n / 4, "task": "tag", "text": texts[n % 3]} for n in range(40)]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    planner.settings["trace"] = {"file": str(trace)}
    bundles = ("entities-device", "entities-edge", "entities-edge")
    for tier, bundle in zip(planner.settings["tiers"], bundles, strict=True):
        tier["set"] = {"model.source": f"{ROOT}/models/bundles/{bundle}", "model.threads": 1}
    planner.settings["tiers"][0]["set"]["tier.policy"] = {"kind": "pass"}

    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    report = planner.read("report.json")
    assert report["prompts"]["answered"] == 40
    assert report["tiers"]["device"]["goes_by"] == "least"
    assert report["tiers"]["edge"]["judged"] == 40
    assert report["texts"] is None


def test_answers_can_be_as_long_as_they_are_asked_to_be(captions: Planner) -> None:
    trace = captions.folder / "asked.jsonl"
    rows = [
        {"at_s": n, "task": "generate", "text": "A dog runs.", "options": {"max_new_tokens": 40}}
        for n in range(5)
    ]
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    captions.settings["trace"] = {"file": str(trace)}
    captions.settings["lengths"] = "asked"

    ran = captions.run()

    assert ran.exit_code == 0, ran.output
    assert captions.read("report.json")["texts"]["tokens_written"] == 5 * 40


def test_a_trace_that_asks_what_no_model_answers_is_refused(planner: Planner) -> None:
    planner.settings["trace"]["task"] = "generate"

    ran = planner.run()

    assert ran.exit_code == 2
    said = " ".join(ran.output.split())
    assert "device has a model for classify, and the trace asks to generate" in said


def test_an_engine_that_is_not_simulated_is_named(planner: Planner) -> None:
    planner.settings["tiers"][2]["set"] = {"model": {"runtime": "transformers", "source": "x"}}

    ran = planner.run()

    assert ran.exit_code == 2
    assert "cloud has model.runtime transformers, which is not simulated" in " ".join(
        ran.output.split()
    )
