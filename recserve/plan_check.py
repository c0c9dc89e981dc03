"""Whether plans come true: traces replayed to real agents on this machine, and planned for it.

``python -m recserve.plan_check FOLDER CONV_CSV MOONCAKE_JSONL`` plays each trace at three loads, up
to saturation, plans the same, and writes a table and a picture into the folder. What things cost is
measured before and after every replay, since the cores of a shared machine run at half their speed
from one minute to the next; each plan takes the mean of the two measurements around its replay.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from experiments.plots.style import styled
from experiments.report.page import Grid
from experiments.report.run import Played, read_played
from experiments.report.write import print_grid, write_json
from recserve.plan_picture import draw_latencies
from shared.command import clear_errors
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLAN: Final = Path(__file__).parents[1] / "configs" / "plan" / "this-machine.yaml"
_DEVICES: Final = 50


class Case(NamedTuple):
    """A trace at a speed, cut to so many prompts."""

    name: str
    trace: str
    speed: float
    prompts: int


class Figures(NamedTuple):
    """What is held against each other: prompts per second, shares in %, milliseconds."""

    throughput_s: float
    shares: dict[str, float]
    p50_ms: float
    p99_ms: float


def cases(azure: str, mooncake: str) -> list[Case]:
    """Return what is played: each trace at a light load, a heavy one, and more than can be done."""
    return [
        Case("azure-light", azure, 10, 2500),
        Case("azure-heavy", azure, 40, 6000),
        Case("azure-too-much", azure, 200, 8000),
        Case("mooncake-light", mooncake, 10, 1500),
        Case("mooncake-heavy", mooncake, 60, 5000),
        Case("mooncake-too-much", mooncake, 300, 8000),
    ]


def mean_of(first: Any, second: Any) -> Any:
    """Return two files of ``recserve measure`` as one: the mean of every figure."""
    if isinstance(first, dict):
        return {key: mean_of(first[key], second[key]) for key in first}
    if isinstance(first, list):
        return [mean_of(one, other) for one, other in zip(first, second, strict=True)]
    if isinstance(first, float):
        return (first + second) / 2
    return first


def figures(played: Played) -> Figures:
    """Take the figures of a run, real or simulated."""
    latency_ms = played.latency_s * 1000
    done_s = np.sort(played.done_s)
    p50, p99 = np.quantile(latency_ms, [0.5, 0.99])
    shares = {tier: float(100 * played.by(tier).mean()) for tier in played.tiers}
    rate = (len(done_s) - 1) / (done_s[-1] - done_s[0])
    return Figures(float(rate), shares, float(p50), float(p99))


def check(folder: Path, wanted: Sequence[Case], console: Console) -> None:
    """Measure, replay and plan in turns, and write what came of it."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = [_measure(folder / "measured-0.json", console)]
    rows, pairs = [], []
    for number, case in enumerate(wanted):
        real = _replay(folder / f"{case.name}-real", case, console)
        measured.append(_measure(folder / f"measured-{number + 1}.json", console))
        around = folder / f"{case.name}-measured.json"
        write_json(
            around, mean_of(*(msgspec.json.decode(each.read_bytes()) for each in measured[-2:]))
        )
        planned = _plan(folder / f"{case.name}-planned", case, around, console)
        pairs.append((case.name, real, planned))
        rows.append(_row(case.name, figures(real), figures(planned)))
        print_grid(console, _grid(rows[-1:]))
    write_json(folder / "check.json", {name: _json(real, planned) for name, real, planned in pairs})
    print_grid(console, _grid(rows))
    with styled():
        (folder / "latencies.svg").write_text(draw_latencies(pairs), encoding="utf-8")


def _measure(path: Path, console: Console) -> Path:
    if not path.exists():
        _call(console, "measure", "--rounds", "1", "--out", str(path))
    return path


def _replay(folder: Path, case: Case, console: Console) -> Played:
    if not folder.exists():
        _call(
            console,
            "replay",
            "--devices",
            str(_DEVICES),
            "--trace",
            case.trace,
            *_cut(case, folder),
        )
    return read_played(folder)


def _cut(case: Case, folder: Path) -> Iterator[str]:
    yield from ("--speed", str(case.speed), "--prompts", str(case.prompts), "--out", str(folder))


def _plan(folder: Path, case: Case, measured: Path, console: Console) -> Played:
    shutil.rmtree(folder, ignore_errors=True)
    sets = {
        "part.speed": case.speed,
        "part.prompts": case.prompts,
        "machines.here.measured": measured,
        "answers": folder.parent / "answers",
    }
    flags = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    _call(console, "plan", str(PLAN), "--trace", case.trace, *flags, "--out", str(folder))
    return read_played(folder)


def _call(console: Console, *words: str) -> None:
    console.print(f"recserve {' '.join(words)}", highlight=False, soft_wrap=True)
    command = [sys.executable, "-m", "recserve", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["nothing"]
        raise DataError(f"recserve {words[0]} ended with {ran.returncode}: {said[-1]}")


def _row(name: str, real: Figures, planned: Figures) -> list[str]:
    shares = max(abs(planned.shares[tier] - share) for tier, share in real.shares.items())
    return [
        name,
        *_beside(real.throughput_s, planned.throughput_s),
        f"{shares:.1f}",
        *_beside(real.p50_ms, planned.p50_ms),
        *_beside(real.p99_ms, planned.p99_ms),
    ]


def _beside(real: float, planned: float) -> Iterator[str]:
    yield f"{real:,.1f}"
    yield f"{planned:,.1f}"
    yield f"{planned / real - 1:+.1%}"


def _grid(rows: list[list[str]]) -> Grid:
    columns = ["replay", "/s", "planned", "off", "shares off", "p50 ms", "planned", "off"]
    return Grid("Replayed and planned", [*columns, "p99 ms", "planned", "off"], rows)


def _json(real: Played, planned: Played) -> dict[str, Any]:
    return {"real": figures(real)._asdict(), "planned": figures(planned)._asdict()}


if __name__ == "__main__":
    with clear_errors():
        if len(sys.argv) != 4:  # noqa: PLR2004 - the program, and three paths
            raise DataError(
                "give a folder to write to, the Azure conversation trace, and Mooncake's"
            )
        check(Path(sys.argv[1]), cases(*sys.argv[2:]), Console(width=120))
