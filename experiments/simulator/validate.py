"""Whether plans come true: traces replayed to real agents on this machine, and planned for it.

``python -m experiments.simulator.validate FOLDER [CONV_CSV MOONCAKE_JSONL]`` plays captions to
translators, and each trace that is given to classifiers at three loads, up to saturation; plans the
same, and writes a table and a picture into the folder. The
cores of a shared machine run at half their speed from one minute to the next, so every case is
replayed three times, and what things cost is measured before and after each; a plan takes the mean
of the measurements around its replays, and is held against their median.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from experiments.grid import Grid, print_grid
from experiments.plots.style import styled
from experiments.report.run import Played, read_played
from experiments.report.write import write_json
from experiments.simulator.validate_plot import Pair, draw_latencies
from shared.cli import clear_errors
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CONFIGS: Final = Path(__file__).parents[2] / "configs"
PLAN: Final = _CONFIGS / "plan" / "this-machine.yaml"
CAPTIONS: Final = (_CONFIGS / "replay" / "captions.yaml", _CONFIGS / "plan" / "captions.yaml")
_MEASURED: Final = (_CONFIGS / "up.yaml", _CONFIGS / "demo-text" / "up.yaml")
_DEVICES: Final = 50
_TIMES: Final = 3


class Case(NamedTuple):
    """A trace at a speed, cut to so many prompts, and the settings to replay and to plan it with.

    Without settings for the replay it is one to devices of ``recserve up``.
    """

    name: str
    trace: str
    speed: float
    prompts: int
    replay: Path | None = None
    plan: Path = PLAN


class Figures(NamedTuple):
    """What is held against each other: prompts per second, shares in %, milliseconds."""

    throughput_s: float
    shares: dict[str, float]
    p50_ms: float
    p99_ms: float


def text_cases() -> list[Case]:
    """Return what is played to models that write: captions, drawn one a second on average."""
    replayed, planned = CAPTIONS
    return [Case("captions", "poisson:rate=1,span=600", 3, 240, replayed, planned)]


def trace_cases(azure: str, mooncake: str) -> list[Case]:
    """Return what is played: each trace at a light load, a heavy one, and more than can be done."""
    return [
        Case("azure-light", azure, 10, 2500),
        Case("azure-heavy", azure, 40, 6000),
        Case("azure-too-much", azure, 200, 8000),
        Case("mooncake-light", mooncake, 10, 1500),
        Case("mooncake-heavy", mooncake, 60, 5000),
        Case("mooncake-too-much", mooncake, 300, 8000),
    ]


def mean_of(measured: Sequence[Any]) -> Any:
    """Return several files of ``recserve measure`` as one: the mean of every figure."""
    first = measured[0]
    if isinstance(first, dict):
        return {key: mean_of([each[key] for each in measured]) for key in first}
    if isinstance(first, list):
        return [mean_of(together) for together in zip(*measured, strict=True)]
    if isinstance(first, float):
        return statistics.fmean(measured)
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
    pairs = []
    for case in wanted:
        replayed = []
        for number in range(_TIMES):
            replayed.append(_replay(folder / f"{case.name}-{number + 1}", case, console))
            measured.append(_measure(folder / f"measured-{len(measured)}.json", console))
        around = folder / f"{case.name}-measured.json"
        files = [msgspec.json.decode(each.read_bytes()) for each in measured[-_TIMES - 1 :]]
        write_json(around, mean_of(files))
        planned = _plan(folder / f"{case.name}-planned", case, around, console)
        pairs.append(Pair(case.name, replayed, planned))
        print_grid(console, _grid([_row(pairs[-1])]))
    write_json(folder / "check.json", {pair.name: _json(pair) for pair in pairs})
    print_grid(console, _grid([_row(pair) for pair in pairs]))
    with styled():
        (folder / "latencies.svg").write_text(draw_latencies(pairs), encoding="utf-8")


def _measure(path: Path, console: Console) -> Path:
    if not path.exists():
        listed = [word for file in _MEASURED for word in ("--agents", str(file))]
        _call(console, "measure", *listed, "--rounds", "1", "--out", str(path))
    return path


def _replay(folder: Path, case: Case, console: Console) -> Played:
    if not folder.exists():
        to = [str(case.replay)] if case.replay else ["--devices", str(_DEVICES)]
        _call(console, "replay", *to, "--trace", case.trace, *_cut(case, folder))
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
    _call(console, "plan", str(case.plan), "--trace", case.trace, *flags, "--out", str(folder))
    return read_played(folder)


def _call(console: Console, *words: str) -> None:
    console.print(f"recserve {' '.join(words)}", highlight=False, soft_wrap=True)
    command = [sys.executable, "-m", "recserve", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["nothing"]
        raise DataError(f"recserve {words[0]} ended with {ran.returncode}: {said[-1]}")


def _row(pair: Pair) -> list[str]:
    replayed, planned = [figures(played) for played in pair.replayed], figures(pair.planned)
    shares = max(
        abs(planned.shares[tier] - statistics.median(each.shares[tier] for each in replayed))
        for tier in planned.shares
    )
    return [
        pair.name,
        *_beside([each.throughput_s for each in replayed], planned.throughput_s),
        f"{shares:.1f}",
        *_beside([each.p50_ms for each in replayed], planned.p50_ms),
        *_beside([each.p99_ms for each in replayed], planned.p99_ms),
    ]


def _beside(replayed: Sequence[float], planned: float) -> Iterator[str]:
    """Yield the least, middle and greatest that was replayed, what was planned, and the gap."""
    yield " … ".join(f"{value:,.4g}" for value in sorted(replayed))
    yield f"{planned:,.4g}"
    yield f"{planned / statistics.median(replayed) - 1:+.0%}"


def _grid(rows: list[list[str]]) -> Grid:
    columns = [name for what in ("/s", "p50 ms", "p99 ms") for name in (what, "planned", "off")]
    return Grid("Replayed and planned", ["replay", *columns[:3], "shares off", *columns[3:]], rows)


def _json(pair: Pair) -> dict[str, Any]:
    return {
        "replayed": [figures(played)._asdict() for played in pair.replayed],
        "planned": figures(pair.planned)._asdict(),
    }


if __name__ == "__main__":
    with clear_errors():
        match sys.argv[1:]:
            case [folder]:
                wanted = text_cases()
            case [folder, azure, mooncake]:
                wanted = [*trace_cases(azure, mooncake), *text_cases()]
            case _:
                raise DataError(
                    "give a folder to write to, and, if they are to be played as well, the Azure "
                    "conversation trace and Mooncake's"
                )
        check(Path(folder), wanted, Console(width=150))
