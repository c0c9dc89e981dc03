"""``recserve plan`` as it is typed: with the committed models and made-up machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from experiments.profiling.profile import write_measured
from recserve.cli import main
from tests.support.processes import ROOT
from tests.support.simulated import machine, model_times, writing_times

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

MODELS = {
    "sentiment-device": model_times(500),
    "sentiment-edge": model_times(2000),
    "sentiment-cloud (2 threads)": model_times(4000, threads=2),
    "entities-device": model_times(1000),
    "entities-edge": model_times(3000),
}
WRITERS = {
    "translate-device": writing_times(500.0, prefill_token_us=20.0),
    "translate-edge": writing_times(1000.0, prefill_token_us=40.0),
    "translate-cloud": writing_times(2000.0, prefill_token_us=80.0),
}
SHIPPED = sorted((ROOT / "configs" / "plan").glob("*.yaml"))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models' answers are kept, so that they are asked once."""
    return tmp_path_factory.mktemp("answers")


class Planner:
    """Writes a plan's settings and runs the command on them."""

    def __init__(self, folder: Path, answers: Path) -> None:
        self.folder = folder
        self.measured = folder / "measured.json"
        write_measured(
            self.measured,
            msgspec.structs.replace(machine("made-up").measured, models=MODELS, writers=WRITERS),
        )
        configs = ROOT / "configs"
        self.settings: dict[str, Any] = {
            "name": "tested",
            "trace": {"file": "poisson:rate=40,span=20"},
            "tiers": [
                {"config": f"{configs}/device.yaml", "machine": "board", "agents": 20},
                {"config": f"{configs}/edge.yaml", "machine": "box"},
                {"config": f"{configs}/cloud.yaml", "machine": "box"},
            ],
            "machines": {
                "board": {"measured": str(self.measured), "cores": 4},
                "box": {"measured": str(self.measured)},
            },
            "broker": {"machine": "box"},
            "answers": str(answers),
        }

    def run(self, *words: str) -> Result:
        path = self.folder / "plan.yaml"
        path.write_text(yaml.safe_dump(self.settings), encoding="utf-8")
        out = ["--out", str(self.folder / "out")]
        return CliRunner().invoke(main, ["plan", str(path), *out, *words])

    def read(self, name: str) -> Any:
        return json.loads((self.folder / "out" / name).read_text(encoding="utf-8"))


@pytest.fixture
def planner(tmp_path: Path, answers: Path) -> Planner:
    return Planner(tmp_path, answers)


def test_a_plan_leaves_what_a_replay_leaves(planner: Planner) -> None:
    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    report = planner.read("report.json")
    assert report["run"]["kind"] == "plan"
    assert report["prompts"]["answered"] == report["prompts"]["planned"] > 600
    assert 0.25 < report["tiers"]["device"]["escalated_share"] < 0.45
    assert report["latency_ms"]["cloud"]["p50"] > report["latency_ms"]["edge"]["p50"]
    page = (planner.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>tested: plan of " in page
    assert "simulated, open loop" in page
    assert "How busy they were" in ran.output


def test_two_plans_can_be_compared(planner: Planner, tmp_path: Path) -> None:
    planner.run()
    planner.settings["links"] = {"device-edge": {"delay_ms": 30}}
    slower = ["--out", str(tmp_path / "slower")]
    assert planner.run(*slower).exit_code == 0

    compared = CliRunner().invoke(
        main,
        ["compare", str(tmp_path / "out"), str(tmp_path / "slower"), "--out", str(tmp_path / "c")],
    )

    assert compared.exit_code == 0, compared.output
    found = {
        one["figure"]: one
        for one in json.loads((tmp_path / "c" / "compare.json").read_text())["figures"]
    }
    edge = next(one for name, one in found.items() if "edge" in name and "p50" in name)
    assert 58 < edge["difference"] < 75, "there and back over 30 ms"
    assert edge["exceeds_noise"]


def test_it_finds_how_many_agents_are_needed(planner: Planner) -> None:
    planner.settings["trace"]["file"] = "poisson:rate=2000,span=2"
    planner.settings["tiers"][0]["agents"] = 400

    ran = planner.run("--find", "edge,cloud", "--p99-ms", "60", "--set", "goal.at_most=8")

    assert ran.exit_code == 0, ran.output
    plan = planner.read("plan.json")
    assert plan["reached"] is True
    last = plan["search"][-1]
    assert last["p99_ms"] <= 60
    assert last["agents"]["edge"] >= 2, (
        "one edge agent alone cannot do 600 prompts a second of 2 ms"
    )
    assert "agents reach a p99 of 60 ms" in ran.output


def test_a_goal_that_no_number_reaches_is_said_and_ends_with_1(planner: Planner) -> None:
    ran = planner.run("--find", "edge", "--p99-ms", "0.5", "--set", "goal.at_most=3")

    assert ran.exit_code == 1
    assert "Not even 3 edge agents" in " ".join(ran.output.split())


def test_devices_can_be_given_on_the_command_line(planner: Planner) -> None:
    ran = planner.run("--devices", "37")

    assert ran.exit_code == 0, ran.output
    assert planner.read("report.json")["run"]["devices"] == 37


def wrong_machine(settings: dict[str, Any]) -> None:
    settings["tiers"][1]["machine"] = "cupboard"


def wrong_link(settings: dict[str, Any]) -> None:
    settings["links"] = {"edge-moon": {"delay_ms": 1300}}


def wrong_order(settings: dict[str, Any]) -> None:
    settings["tiers"].pop(1)


def wrong_place(settings: dict[str, Any]) -> None:
    settings["broker"]["beside"] = "moon"


def virtual_edge(settings: dict[str, Any]) -> None:
    settings["tiers"][1]["virtual"] = True


def no_such_measured(settings: dict[str, Any]) -> None:
    settings["machines"]["box"]["measured"] = "nowhere.json"


def a_pool(settings: dict[str, Any]) -> None:
    settings["tiers"][0]["set"] = {"upstream.pool": "edges"}


def another_broker(settings: dict[str, Any]) -> None:
    settings["tiers"][1]["set"] = {"upstream.mqtt": {"host": "cloud.example"}}


def shared_goal(settings: dict[str, Any]) -> None:
    settings["machines"]["box"]["single"] = True
    settings["goal"] = {"p99_ms": 10, "find": ["edge"]}


def goal_of_devices(settings: dict[str, Any]) -> None:
    settings["goal"] = {"p99_ms": 10, "find": ["device"]}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (wrong_machine, "runs on 'cupboard'; machines names board, box"),
        (wrong_link, "links: edge-moon; known: device-edge, edge-cloud"),
        (wrong_order, "device escalates to edge, but in this plan its upstream is cloud"),
        (wrong_place, "broker.beside: 'moon' is no tier"),
        (virtual_edge, "virtual is for the first tier"),
        (no_such_measured, "nowhere.json: cannot be read"),
        (a_pool, "device has upstream.pool, which is not simulated"),
        (another_broker, "edge has upstream.mqtt, which is not simulated"),
        (shared_goal, "all agents of edge share the machine box"),
        (goal_of_devices, "'device' is none of edge, cloud"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_sentence(
    planner: Planner, spoil: Any, said: str
) -> None:
    spoil(planner.settings)

    ran = planner.run()

    assert ran.exit_code == 2, ran.output
    assert said in " ".join(ran.output.split())
    assert "Traceback" not in ran.output


def test_a_model_that_was_not_measured_is_named_with_what_to_do(planner: Planner) -> None:
    bare = msgspec.structs.replace(machine("bare").measured, models={})
    write_measured(planner.folder / "bare.json", bare)
    planner.settings["machines"]["board"]["measured"] = str(planner.folder / "bare.json")

    ran = planner.run()

    assert ran.exit_code == 2
    assert "sentiment-device was not measured there" in " ".join(ran.output.split())
    assert "recserve measure" in ran.output


def test_a_models_threads_are_part_of_what_was_measured(planner: Planner) -> None:
    planner.settings["tiers"][2]["set"] = {"model.threads": 4}

    ran = planner.run()

    assert ran.exit_code == 2
    said = " ".join(ran.output.split())
    assert "sentiment-cloud (4 threads) was not measured there" in said
    assert "--threads 4" in said


def test_settings_of_a_tier_can_differ_from_its_file(planner: Planner) -> None:
    """Values of any kind, texts that look like something else among them."""
    planner.settings["tiers"][0]["set"] = {
        "tier.policy": {"kind": "keep"},
        "agent": "1e3",
        "limits.timeout_s": 7,
    }

    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    assert planner.read("report.json")["tiers"]["device"]["escalated_share"] == 0


def test_a_run_that_is_there_is_set_aside(planner: Planner) -> None:
    planner.run()
    first = planner.read("run.json")

    ran = planner.run()

    assert ran.exit_code == 0, ran.output
    assert planner.read("../out.1/run.json") == first
    assert planner.read("report.json")["prompts"]["lost"] == 0


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_the_shipped_plans_run(path: Path, planner: Planner) -> None:
    """With a measured file of ours, and a minute of prompts instead of all."""
    if path.stem == "captions":
        pytest.importorskip("onnxruntime_genai")
    overrides = {"trace.file": "poisson:rate=20,span=5", "answers": planner.settings["answers"]}
    machines = yaml.safe_load(path.read_text(encoding="utf-8"))["machines"]
    overrides |= {f"machines.{name}.measured": str(planner.measured) for name in machines}
    overrides["goal"] = "null"
    flags = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]

    ran = CliRunner().invoke(
        main, ["plan", str(path), "--devices", "30", *flags, "--out", str(planner.folder / "out")]
    )

    assert ran.exit_code == 0, ran.output


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
