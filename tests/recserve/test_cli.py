"""Every command as a person types it, against a running installation."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.testbed.processes import free_port
from tests.support.installations import Installation, recserve, running_up
from tests.support.processes import ROOT


def test_ask_prints_the_answer_with_its_hops(installation: Installation) -> None:
    ran = recserve("ask", "--port", str(installation.port), "a lovely film from start to end")

    assert ran.returncode == 0, ran.stderr
    assert "positive from " in ran.stdout
    assert "device-1" in ran.stdout


def test_ask_as_json_can_be_read_by_programs(installation: Installation) -> None:
    ran = recserve("ask", "--json", "--port", str(installation.port), "the seal weeps again")

    answer = json.loads(ran.stdout)
    assert answer["label"] in {"positive", "negative"}
    assert answer["hops"][0]["tier"] == "device"
    assert answer["hops"][-1]["agent"] == answer["agent"]


def test_an_empty_prompt_is_an_error_that_says_so(installation: Installation) -> None:
    ran = recserve("ask", "--port", str(installation.port), "   ")

    assert ran.returncode == 1
    assert "invalid_prompt: the prompt is empty" in ran.stdout


def test_an_unknown_task_is_named(installation: Installation) -> None:
    ran = recserve("ask", "--port", str(installation.port), "--task", "sing", "a song")

    assert ran.returncode == 2
    assert "'sing' is not one of 'classify', 'tag', 'generate'" in ran.stderr


def test_a_device_that_is_not_there_is_missed_in_one_line(installation: Installation) -> None:
    ran = recserve(
        "ask", "--port", str(installation.port), "--device", "nobody", "--timeout-s", "0.2", "hello"
    )

    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "nobody did not answer" in ran.stderr


def test_ask_without_a_broker_fails_in_one_line() -> None:
    ran = recserve("ask", "--port", str(free_port()), "hello")

    assert ran.returncode == 2
    assert ran.stderr.startswith("error: no broker at 127.0.0.1:")
    assert ran.stderr.count("\n") == 1


def test_doctor_is_content_with_a_running_installation(installation: Installation) -> None:
    ran = recserve("doctor", "--set", f"mqtt.port={installation.port}")

    assert ran.returncode == 0, ran.stdout
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [
        ["ok", "settings"],
        ["ok", "model"],
        ["ok", "broker"],
        ["ok", "upstream"],
    ]


def test_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    ran = recserve("doctor", "--set", f"mqtt.port={free_port()}", "--set", "model.source=nowhere")

    assert ran.returncode == 1
    assert "failed   model" in ran.stdout
    assert "nowhere" in ran.stdout
    assert "failed   broker" in ran.stdout


def test_a_device_answers_lines_from_standard_input(installation: Installation) -> None:
    ran = recserve(
        "device", "--config", "configs/device.yaml", "--set", "agent=device-lines",
        "--set", f"mqtt.port={installation.port}",
        "--set", "sources.typed={kind: lines, path: '-'}",
        stdin="wonderful\na dull film, and far too long\n\n",
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [answer["label"] for answer in answers] == ["positive", "negative"]


def test_a_line_that_is_no_prompt_fails_the_run_but_not_its_neighbours(tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_bytes(b"wonderful\n\xff\xfe\na dull film, and far too long\n")

    ran = recserve(
        "device", "--config", "configs/device.yaml", "--set", f"mqtt.port={free_port()}",
        "--set", f"sources.lines={{kind: lines, path: {lines}}}",
        "--set", "upstream.patience_s=0.1",
    )  # fmt: skip

    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 1
    assert [answer.get("label", answer.get("error")) for answer in answers] == [
        "positive", "invalid_prompt", "negative",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("edge", "--config", "nowhere.yaml"), "nowhere.yaml: cannot be read"),
        (("edge", "--config", "configs/edge.yaml", "--set", "tier.polcy=1"), "did you mean"),
        (("edge", "--config", "configs/cloud.yaml"), "tier.upstream is missing"),
        (("cloud", "--config", "configs/edge.yaml"), "a cloud agent has none above it"),
        (("device", "--config", "configs/device.yaml", "--set", "model.source=x"), "x"),
        (("up", "--config", "configs/edge.yaml"), "unknown key"),
        (("broker", "--host", "0.0.0.0"), "not a loopback address"),
    ],
)
def test_a_wrong_start_is_one_clear_line(words: tuple[str, ...], says: str) -> None:
    ran = recserve(*words)

    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_up_stops_everything_on_sigterm(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        up.process.send_signal(signal.SIGTERM)

        assert up.process.wait(timeout=25) == 0
    ran = recserve("ask", "--port", str(up.port), "anybody?")
    assert "no broker" in ran.stderr


def test_an_agent_that_starts_before_its_broker_waits_and_says_so(tmp_path: Path) -> None:
    port = free_port()
    agent = subprocess.Popen(
        [sys.executable, "-m", "edge_agent", "--config", "configs/edge.yaml",
         "--set", f"mqtt.port={port}", "--set", "mqtt.reconnect_max_s=1"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    broker = None
    try:
        assert agent.stderr is not None
        seen = ""
        while "waiting for the broker" not in seen:
            seen += agent.stderr.readline()
        broker = subprocess.Popen(
            [sys.executable, "-m", "recserve", "broker", "--port", str(port),
             "--data-dir", str(tmp_path)],
            cwd=ROOT, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while "broker connected" not in seen:
            seen += agent.stderr.readline()
    finally:
        for process in (agent, broker):
            if process is not None:
                process.terminate()
        agent.communicate(timeout=20)
        if broker is not None:
            broker.wait(timeout=20)
    assert agent.returncode == 0
