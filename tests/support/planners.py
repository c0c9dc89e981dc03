"""Plans as they are typed, on made-up machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
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
