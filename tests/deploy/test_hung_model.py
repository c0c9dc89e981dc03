"""An agent whose model hangs ends, so that whoever watches over it starts it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shared.agent.run import HUNG

ROOT = Path(__file__).parents[2]


def test_a_device_whose_model_hangs_ends_with_a_status_of_its_own(tmp_path: Path) -> None:
    remarks = tmp_path / "remarks.txt"
    remarks.write_text("a dull film, and far too long\n")
    changes = [
        f"sources.remarks={{kind: lines, path: {remarks}}}",
        "limits.model_s=0.5",
        "mqtt.port=1",
        f"state={tmp_path}",
    ]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "chaos.launcher", "device", "--slow-s", "20", "--"),
            *("--config", "configs/device.yaml"),
            *(word for change in changes for word in ("--set", change)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == HUNG, ran.stderr
    assert "the model hangs" in ran.stderr
