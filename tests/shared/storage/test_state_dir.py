from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shared.errors import AgentRunning, SettingsError
from shared.storage.state_dir import hold, holder_of

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from shared.storage.state_dir import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_holder_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "device-1.lock"
    with start_holder(path) as holder:
        with pytest.raises(AgentRunning) as refusal, hold(path):
            pass
        holder.kill()

    assert f"another process runs as 'device-1' (pid {holder.pid}, lock {path})" in str(
        refusal.value
    )


def test_a_lock_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "device-1.lock"
    with start_holder(path) as holder:
        holder.send_signal(signal.SIGKILL)

    with hold(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_who_holds_a_lock_is_known_as_long_as_it_does(tmp_path: Path) -> None:
    path = tmp_path / "device-1.lock"
    assert holder_of(tmp_path, "device-1") is None
    with start_holder(path) as holder:
        assert holder_of(tmp_path, "device-1") == holder.pid
        holder.kill()

    assert path.read_text() == f"{holder.pid}\n", "it could not take its number away"
    assert holder_of(tmp_path, "device-1") is None


def test_a_lock_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "device-1.lock").symlink_to("device-1.lock")
    with pytest.raises(SettingsError, match=r"device-1\.lock: cannot be opened .* as the agent's"):
        holder_of(tmp_path, "device-1")


def test_a_lock_is_free_after_its_context(tmp_path: Path) -> None:
    path = tmp_path / "device-1.lock"

    for _ in range(2):
        with hold(path):
            pass

    assert path.read_text() == ""
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_agents_on_one_machine_do_not_meet(tmp_path: Path) -> None:
    with hold(tmp_path / "device-1.lock"), hold(tmp_path / "device-2.lock"):
        pass


def test_a_program_started_by_the_holder_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "device-1.lock"
    with hold(path):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with hold(path):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsError, match=r"nowhere/device-1\.lock: cannot be opened"),
        hold(tmp_path / "nowhere" / "device-1.lock"),
    ):
        pass
