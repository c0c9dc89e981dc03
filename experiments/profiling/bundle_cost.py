"""What one bundle costs: measured in a process of its own, so that its memory is its own.

``python -m experiments.profiling.bundle_cost`` is that process: it reads what to measure from
standard input and writes what it found to standard output, both as JSON.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from cloud_agent.center.catalogue.file import (
    CatalogueFile,
    MeasuredGrade,
    MeasuredModel,
    MeasuredOn,
)
from cloud_agent.center.grading import grade, kind_named
from cloud_agent.center.rounds.job_file import read_jobs
from experiments.datasets.bundled import read_prompts
from experiments.grid import Grid
from experiments.profiling.models import Bench
from models.pack.labelled import measure, read_labelled
from shared.errors import DataError, PromptError
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.model import Generator
from shared.tasks import Request, to_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Model

_LOADS: Final = 3
_ALONE: Final = 60
_WRITTEN: Final = 12
_NEW_TOKENS: Final = 32
_MIB: Final = 1 << 20
_LONGEST_S: Final = 3_600
_REPORTED: Final = 400


class Asked(msgspec.Struct, frozen=True):
    """What the process is to measure."""

    bundle: str
    runtime: Literal["onnx", "genai", "ctranslate2"]
    sets: tuple[str, ...]
    jobs: str
    rows: int
    rounds: int
    threads: int


class Told(msgspec.Struct, frozen=True):
    """What it found."""

    on: MeasuredOn
    grades: dict[str, MeasuredGrade]


def measure_bundle(
    bundle: str,
    node_class: str,
    sets: Sequence[str],
    jobs: str,
    rows: int,
    rounds: int,
    threads: int,
) -> MeasuredModel:
    """Return what a bundle is, is good for and costs here. Raises a ``RecServeError``.

    ``sets`` are labelled rows by kind, and ``jobs`` a file of jobs with references, or empty.
    """
    opened = Bundle.open(bundle)
    manifest = opened.manifest
    for argument in sets:  # what is wrong with one is said before anything is measured
        read_labelled(argument, rows)
    if jobs:
        read_jobs(Path(jobs))
    asked = Asked(bundle, manifest.runtime, tuple(sets), jobs, rows, rounds, threads)
    told = _ask(asked)
    return MeasuredModel(
        name=manifest.name,
        version=manifest.version,
        digest=opened.digest,
        task=manifest.task,
        size_bytes=opened.size_bytes,
        grades=told.grades or _of_manifest(opened),
        on={node_class: told.on},
    )


def to_grid(file: CatalogueFile) -> Grid:
    """Return the file as a table, a row for each bundle and class of node."""
    heads = ("bundle", "node", "MiB", "load s", "memory MiB", "prompt ms", "token ms", "grades")
    rows = []
    for model in file.models:
        grades = ", ".join(f"{kind} {each.grade:.3f}" for kind, each in model.grades.items())
        for name, on in model.on.items():
            token = "–" if on.token_s is None else f"{1000 * on.token_s:.1f}"
            rows.append(
                (
                    f"{model.name} {model.version}",
                    name,
                    f"{model.size_bytes / _MIB:.1f}",
                    f"{on.load_s:.2f}",
                    f"{on.memory_bytes / _MIB:.0f}",
                    f"{1000 * on.prompt_s:.2f}",
                    token,
                    grades or "–",
                )
            )
    return Grid("What bundles cost", heads, rows)


def _ask(asked: Asked) -> Told:
    ran = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", __name__],
        input=msgspec.json.encode(asked),
        capture_output=True,
        timeout=_LONGEST_S,
        check=False,
    )
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise DataError(f"{asked.bundle}: cannot be measured: {said[-1][-_REPORTED:]}")
    return msgspec.json.decode(ran.stdout, type=Told)


def _of_manifest(bundle: Bundle) -> dict[str, MeasuredGrade]:
    """Return what the bundle says of itself: the mean over its sets, by their rows."""
    manifest = bundle.manifest
    by_kind = {
        "label": [(each.rows, each.accuracy) for each in manifest.quality.values()],
        "entities": [(each.rows, each.f1) for each in manifest.entities.values()],
    }
    return {
        kind: MeasuredGrade(sum(r * grade for r, grade in found) / rows, rows, "its manifest")
        for kind, found in by_kind.items()
        if (rows := sum(r for r, _ in found))
    }


def main() -> None:
    """Measure what standard input asks for."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    settings = ModelSettings(source=asked.bundle, runtime=asked.runtime, threads=asked.threads)
    before = _peak_bytes()
    model = load_model(settings)
    texts = [prompt.text for prompt in read_prompts()]
    if isinstance(model, Generator):
        prompt_s, token_s = _generation_s(model, texts[:_WRITTEN])
    else:
        prompt_s, token_s = _prompt_s(model, texts[:_ALONE]), None
    memory_bytes = _peak_bytes() - before
    grades = {
        data.name: MeasuredGrade(found.accuracy, found.rows, data.path.name)
        for data in (read_labelled(argument, asked.rows) for argument in asked.sets)
        for found in (measure(model, data),)
    }
    grades |= _graded(model, asked)
    writes = isinstance(model, Generator)
    model.close()
    on = MeasuredOn(
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=platform.machine(),
        cores=os.cpu_count() or 1,
        threads=asked.threads,
        load_s=statistics.median(_load_s(settings) for _ in range(_LOADS)),
        memory_bytes=float(memory_bytes),
        prompt_s=prompt_s,
        token_s=token_s,
        times=msgspec.Raw(b"null") if writes else _times(settings, texts, asked.rounds),
    )
    sys.stdout.buffer.write(msgspec.json.encode(Told(on, grades)))


def _load_s(settings: ModelSettings) -> float:
    begun_s = time.perf_counter()
    load_model(settings).close()
    return time.perf_counter() - begun_s


def _prompt_s(model: Model, texts: Sequence[str]) -> float:
    """Return the median time of one prompt alone."""
    task = next(iter(model.tasks))
    took_s = []
    for text in texts:
        begun_s = time.perf_counter()
        (entry,) = model.answer([Request(task, text)])
        took_s.append(time.perf_counter() - begun_s)
        if isinstance(entry, PromptError):
            raise DataError(f"the model fails on {text[:60]!r}: {entry}")
    return statistics.median(took_s)


def _generation_s(model: Generator, texts: Sequence[str]) -> tuple[float, float]:
    """Return the median times to read a prompt and to write a token, one text at a time."""
    read_s, written_s = [], []
    for text in texts:
        generation = model.begin(Request("generate", text, {"max_new_tokens": _NEW_TOKENS}))
        begun_s = time.perf_counter()
        (entry,) = model.step([generation])
        read_s.append(time.perf_counter() - begun_s)
        first = generation.written
        begun_s = time.perf_counter()
        while entry is None:
            (entry,) = model.step([generation])
        if isinstance(entry, PromptError):
            raise DataError(f"the model fails on {text[:60]!r}: {entry}")
        if generation.written > first:
            written_s.append((time.perf_counter() - begun_s) / (generation.written - first))
        generation.close()
    return statistics.median(read_s), statistics.median(written_s or read_s)


def _graded(model: Model, asked: Asked) -> dict[str, MeasuredGrade]:
    """Return the mean grade of the model's answers to the jobs that are of its tasks, by kind."""
    if not asked.jobs:
        return {}
    grades: dict[str, list[float]] = {}
    for job in read_jobs(Path(asked.jobs))[: asked.rows]:
        kind = kind_named(job.kind)
        if not job.references or kind.task not in model.tasks:
            continue
        options = {"max_new_tokens": int(2 * kind.tokens)} if kind.task == "generate" else {}
        (entry,) = model.answer([Request(kind.task, kind.prompt(job.text), options)])
        said = "" if isinstance(entry, PromptError) else to_line(entry.answer)
        grades.setdefault(job.kind, []).append(grade(job.kind, said, job.references))
    source = Path(asked.jobs).name
    return {
        kind: MeasuredGrade(statistics.fmean(each), len(each), source)
        for kind, each in grades.items()
    }


def _times(settings: ModelSettings, texts: Sequence[str], rounds: int) -> msgspec.Raw:
    bench = Bench([settings], texts)
    for _ in range(rounds):
        bench.round()
    return msgspec.Raw(msgspec.json.encode(bench.close()[0].times))


def _peak_bytes() -> int:
    """Return the most memory that this process has had.

    Of a process that was started by a large one the usual way would tell the other's: on Linux the
    kernel's own page about us does not.
    """
    page = Path("/proc/self/status")
    if page.exists():
        lines = page.read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
