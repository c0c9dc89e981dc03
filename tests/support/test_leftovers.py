"""A process that outlives the suite is found, however it got away, named and ended."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import leftovers
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 0
RUNNING = "until grep -q ^sleep /proc/$!/cmdline; do :; done"
ORPHAN = f"['sh', '-c', 'sleep 321 & {RUNNING}']"
AWAY = {
    "child": "subprocess.Popen(['sleep', '321'])",
    "orphan": f"subprocess.run({ORPHAN})",
    "own session": f"subprocess.run({ORPHAN}, start_new_session=True)",
    "bare environment": f"subprocess.run({ORPHAN}, env={{'HOME': f'{{tmp_path}}/home'}})",
}


@pytest.mark.parametrize("start", AWAY.values(), ids=AWAY)
def test_a_suite_that_leaves_a_process_running_fails_and_ends_it(
    start: str, tmp_path: Path
) -> None:
    ran = run_suite(tmp_path, f"import subprocess\ndef test_it(tmp_path):\n    {start}\n")

    assert ran.returncode == 1, ran.stdout
    assert "1 passed, 1 error" in ran.stdout
    assert "'sleep 321'" in ran.stdout
    assert leftovers.left_over(tmp_path, NOBODY) == {}


def test_a_suite_that_sees_its_processes_to_their_end_passes(tmp_path: Path) -> None:
    ran = run_suite(tmp_path, "import subprocess\ndef test_it():\n    subprocess.run(['true'])\n")

    assert ran.returncode == 0, ran.stdout


def run_suite(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run one file of tests as a suite of its own, under this suite's rules."""
    (folder / "test_one.py").write_text(text)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={folder}"]
    options += ["-W", "ignore::ResourceWarning", f"--basetemp={folder}/temporary"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder / "test_one.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
