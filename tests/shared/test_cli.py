"""Handles that are closed, and signals at any time: a sentence or none, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.testbed.processes import free_port
from tests.support.installations import running_up
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEVICE = (
    f"{sys.executable} -m recserve device -c configs/device.yaml --set mqtt.port=1 "
    "--set upstream.patience_s=0 --set log.level=error "
    "--set 'sources.typed={kind: lines, path: \"-\"}'"
)
DOCTOR = f"{sys.executable} -m recserve doctor --set mqtt.port=1"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"echo splendid | {DEVICE} >&-", "standard output is closed"),
        (f"{DEVICE} <&-", "standard input is closed"),
        (f"echo splendid | {DEVICE} >/dev/full", "No space left on device"),
    ],
)
def test_what_a_device_cannot_do_without_is_missed_in_one_line(line: str, says: str) -> None:
    ran = shell(line)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("words", ["doctor --set mqtt.port=1", "--help", "plan --help"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_what_nobody_can_print_is_missed_in_one_line(words: str, buffered: str) -> None:
    ran = shell(f"PYTHONUNBUFFERED={buffered} {sys.executable} -m recserve {words} >/dev/full")
    assert ran.returncode == 1
    assert "standard output cannot be written (No space left on device)" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_device_answers_where_nobody_hears_its_log() -> None:
    ran = shell(f"printf 'splendid\\ndreadful\\n' | {DEVICE} 2>&-")
    assert ran.returncode == 0
    assert [json.loads(line)["tier"] for line in ran.stdout.splitlines()] == ["device"] * 2


@pytest.mark.parametrize("closed", ["<&-", "2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_doctor_without_a_handle_comes_to_the_same_end(closed: str) -> None:
    ran = shell(f"{DOCTOR} {closed}")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr


def test_a_reader_that_has_enough_leaves_no_traceback_behind() -> None:
    lines = "".join(f"a fine day, the {number}th\\n" for number in range(400))
    for line in (f"{DOCTOR} | head -1", f"printf '{lines}' | {DEVICE} | head -1"):
        ran = shell(line)
        assert ran.stdout.count("\n") == 1
        assert "Traceback" not in ran.stderr


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def one(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", *words]
        running.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield one
    for process in running:
        process.kill()
        process.communicate()


def until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + 30
    while not true():
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.mark.parametrize("role", ["device", "edge", "cloud"])
def test_an_agent_that_is_interrupted_while_it_loads_just_ends(
    start: Callable[..., subprocess.Popen[str]], role: str
) -> None:
    agent = start(f"{role}_agent", "-c", f"configs/{role}.yaml", "--set", "mqtt.port=1")
    until(lambda: "site-packages" in Path(f"/proc/{agent.pid}/maps").read_text(), agent)
    agent.send_signal(signal.SIGINT)
    _, said = agent.communicate(timeout=20)
    assert agent.returncode == -signal.SIGINT
    assert said == ""


def hanging(start: Callable[..., subprocess.Popen[str]], folder: Path) -> subprocess.Popen[str]:
    """A device whose model has a prompt in hand, and will have it for a minute."""
    port = str(free_port())
    remarks = folder / "remarks.txt"
    remarks.write_text("it never ends\n")
    changes = (f"sources.a={{kind: lines, path: {remarks}}}", "limits.drain_s=0.2", "mqtt.port=1")
    flags = [word for change in (*changes, f"metrics.port={port}") for word in ("--set", change)]
    words = ("--slow-s", "60", "--", "-c", "configs/device.yaml", *flags)
    device = start("chaos.launcher", "device", *words)
    assert device.stderr is not None
    while "agent started" not in device.stderr.readline():
        assert device.poll() is None
    until(lambda: catches(device, signal.SIGTERM), device)
    return device


def catches(process: subprocess.Popen[str], number: int) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_an_agent_whose_model_hangs_ends_in_its_time_when_it_is_asked_to(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    device = hanging(start, tmp_path)
    device.terminate()
    _, said = device.communicate(timeout=18)
    assert device.returncode == 4
    assert "not stopped in time" in said


def test_an_agent_that_is_asked_twice_ends_at_once(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    device = hanging(start, tmp_path)
    device.terminate()
    assert device.stderr is not None
    while "stopping" not in device.stderr.readline():
        assert device.poll() is None
    device.terminate()
    device.communicate(timeout=5)
    assert device.returncode == 128 + signal.SIGTERM


def test_nothing_goes_on_without_the_up_that_started_it(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        listed = f"/proc/{up.process.pid}/task/{up.process.pid}/children"
        children = [int(pid) for pid in Path(listed).read_text().split()]
        assert len(children) == 4
        up.process.kill()
        up.process.wait()
        deadline_s = time.monotonic() + 15
        while left := [pid for pid in children if _runs(pid)]:
            assert time.monotonic() < deadline_s, left
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_up_says_last_what_to_type_and_nothing_of_the_broker(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        ask = [sys.executable, "-m", "recserve", "ask", "--port", str(up.port), "so pleasant"]
        asked = subprocess.run(ask, cwd=ROOT, capture_output=True, check=False)
        said = (tmp_path / "up.log").read_text().splitlines()
    assert asked.returncode == 0
    assert said[-1] == f'try: recserve ask --port {up.port} "what a lovely pump"'
    for name in ("device-1", "edge-1", "cloud-1"):
        assert any(line.split()[:1] == [name] for line in said)
    assert not [line for line in said if "onnection" in line or "lient" in line]
    assert (tmp_path / "broker" / "log").stat().st_size > 0
