"""Every system on the same questions, vectors, recorded cloud and room; and the report."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np

from experiments.hotspot.absent import AbsentReport
from experiments.hotspot.cached import GptCache
from experiments.hotspot.cloud import RecordedCloud
from experiments.hotspot.edge import ScriptedEdge
from experiments.hotspot.exemplars import AllIcl, IcCache, SelfRagLike
from experiments.hotspot.facts import generate, is_right, read_popqa
from experiments.hotspot.ours import MemoryParts, MemorySystem
from experiments.hotspot.routed import AllCloud, AllEdge, RouteLlm
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.systems import TOLERANCE, HotQuery, SystemAnswer
from experiments.hotspot.workload import draw_questions
from shared.errors import SettingsError
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.hotspot.facts import HotFact
    from experiments.hotspot.systems import HotSystem
    from experiments.hotspot.workload import HotQuestion
    from shared.runtimes.onnx_embedder import OnnxEmbedder

    Progress = Callable[[str, int, int], None]

OURS: Final = "memory"
ABLATIONS: Final = {
    "memory, no night": MemoryParts(nights=False),
    "memory, no eviction": MemoryParts(eviction=False),
    "memory, no awareness": MemoryParts(awareness=False),
    "memory, no verifier": MemoryParts(verifier=False),
    "memory, no replay": MemoryParts(replay=False),
    "memory, LRU": MemoryParts(lru=True),
}
_START_S: Final = 1_800_000_000.0
_DAY_S: Final = 86_400.0


class HotWorkload(NamedTuple):
    """Facts, the questions about them, and the vector of each question."""

    facts: list[HotFact]
    asked: list[HotQuestion]
    vectors: NDArray[np.float32]


class SystemReport(msgspec.Struct, kw_only=True):
    """What one system did over all days; the warm-up counts for nothing."""

    accuracy: float
    accuracy_by_day: list[float]
    cloud_calls: int
    cloud_calls_by_day: list[int]
    false_reuse: float
    edge_tokens_per_question: float
    edge_tokens_by_day: list[float]
    index_entries: int
    entries_overnight: float = 0.0
    """Entries in the mean, after what is done between two days."""
    calibration_error: float | None = None
    """Of local answers after day 2: how far the chances told lie from how many were right."""
    degraded: int
    ways: dict[str, int]
    more: dict[str, Any] = {}


class HotspotReport(msgspec.Struct, kw_only=True):
    """What ``report.json`` holds."""

    settings: HotspotSettings
    questions: int
    embedder: str
    systems: dict[str, SystemReport]
    half_absent: dict[str, AbsentReport] = {}


def make_workload(
    settings: HotspotSettings,
    embedder: OnnxEmbedder,
    kept: Path | None,
    progress: Progress,
    popqa: Path | None = None,
) -> HotWorkload:
    """Draw the questions, and embed each text once; a folder keeps the vectors, if one is given."""
    facts = read_popqa(popqa) if popqa else generate(settings.facts, settings.seed)
    asked = draw_questions(facts, settings)
    texts = list(dict.fromkeys(each.text for each in asked))
    vectors = _embed(texts, embedder, kept, progress)
    places = {text: place for place, text in enumerate(texts)}
    return HotWorkload(facts, asked, vectors[[places[each.text] for each in asked]])


def systems(
    work: HotWorkload, settings: HotspotSettings, record: Path | None, only: Sequence[str] = ()
) -> dict[str, Callable[[], tuple[HotSystem, RecordedCloud]]]:
    """Return what makes each system, by name. Raises ``SettingsError`` for a name that is none."""
    texts = {each.text: each.fact for each in work.asked}
    room, width = settings.capacity, work.vectors.shape[1]
    wanted = 1.0 - settings.cloud_wrong - TOLERANCE

    def parts(make: Callable[[RecordedCloud, ScriptedEdge], HotSystem]) -> Callable[..., Any]:
        def build() -> tuple[HotSystem, RecordedCloud]:
            cloud = RecordedCloud(work.facts, settings, record)
            return make(cloud, ScriptedEdge(work.facts, settings)), cloud

        return build

    def ours(switched: MemoryParts) -> Callable[..., Any]:
        return parts(lambda c, e: MemorySystem(c, e, texts, settings, width, switched))

    made = {
        "all-cloud": parts(AllCloud),
        "all-edge": parts(AllEdge),
        "all-icl": parts(lambda c, e: AllIcl(c, e, room, width)),
        "routellm-like": parts(lambda c, e: RouteLlm(c, e, wanted)),
        "self-rag-like": parts(lambda c, e: SelfRagLike(c, e, room, width, wanted)),
        "gptcache-0.80": parts(lambda c, e: GptCache(c, e, room, width, 0.80)),
        "gptcache-0.90": parts(lambda c, e: GptCache(c, e, room, width, 0.90)),
        "gptcache-0.95": parts(lambda c, e: GptCache(c, e, room, width, 0.95)),
        "ic-cache-like": parts(lambda c, e: IcCache(c, e, room, width, 1.0 - settings.cloud_wrong)),
        OURS: ours(MemoryParts()),
        **{name: ours(switched) for name, switched in ABLATIONS.items()},
    }
    unknown = sorted(set(only) - set(made))
    if unknown:
        raise SettingsError(f"there is no system {unknown[0]!r}; there are: {', '.join(made)}")
    return {name: build for name, build in made.items() if not only or name in only}


def run(
    work: HotWorkload,
    settings: HotspotSettings,
    name: str,
    build: Callable[[], tuple[HotSystem, RecordedCloud]],
    progress: Progress,
) -> SystemReport:
    """Let one system answer every question."""
    system, cloud = build()
    tallies = [_DayTally() for _ in range(settings.days)]
    overnight: list[int] = []
    day, place = 0, 0
    step = _DAY_S / max(settings.questions_a_day, 1)
    try:
        for at, (asked, vector) in enumerate(zip(work.asked, work.vectors, strict=True)):
            if asked.day != day:
                if day:
                    system.night(day, _START_S + day * _DAY_S)
                    overnight.append(system.entries)
                day, place = asked.day, 0
            now_s = _START_S + (day - 1) * _DAY_S + place * min(step, _DAY_S / 1_000)
            is_open = day == 0 or cloud.is_open(day, place)
            query = HotQuery(at, day, asked.fact, asked.text, vector, now_s, is_open)
            place += 1
            if day == 0:
                system.warm(query)
            else:
                tallies[day - 1].add(asked.fact, system.answer(query))
            if at % 200 == 0:
                progress(name, at, len(work.asked))
    finally:
        cloud.close()
    progress(name, len(work.asked), len(work.asked))
    return _report(system, tallies, overnight)


class _DayTally:
    """One day's counts."""

    def __init__(self) -> None:
        self.questions = self.right = self.calls = self.tokens = self.false = self.degraded = 0
        self.ways: dict[str, int] = {}
        self.told: list[tuple[float, bool]] = []
        """The chance of each local answer, and whether it was right."""

    def add(self, fact: HotFact, given: SystemAnswer) -> None:
        right = is_right(given.answer, fact)
        self.questions += 1
        self.right += right
        if given.chance is not None:
            self.told.append((given.chance, right))
        self.calls += given.cloud_calls
        self.tokens += given.edge_tokens
        self.false += given.used_fact is not None and given.used_fact != fact.number
        self.degraded += given.degraded
        self.ways[given.way] = self.ways.get(given.way, 0) + 1


def _report(
    system: HotSystem, tallies: Sequence[_DayTally], overnight: Sequence[int]
) -> SystemReport:
    questions = sum(each.questions for each in tallies)
    more = {}
    if isinstance(system, MemorySystem):
        memory = system.memory
        more = {
            "ghosts": len(memory.ghosts),
            "outcomes": dict(memory.counts),
            "weights": [round(float(each), 3) for each in memory.verifier.weights],
        }
    return SystemReport(
        accuracy=sum(each.right for each in tallies) / questions,
        accuracy_by_day=[each.right / each.questions for each in tallies],
        cloud_calls=sum(each.calls for each in tallies),
        cloud_calls_by_day=[each.calls for each in tallies],
        false_reuse=sum(each.false for each in tallies) / questions,
        edge_tokens_per_question=sum(each.tokens for each in tallies) / questions,
        edge_tokens_by_day=[each.tokens / each.questions for each in tallies],
        index_entries=system.entries,
        entries_overnight=sum(overnight) / len(overnight) if overnight else system.entries,
        calibration_error=calibration_error([t for each in tallies[2:] for t in each.told]),
        degraded=sum(each.degraded for each in tallies),
        ways={
            way: sum(each.ways.get(way, 0) for each in tallies)
            for way in ("direct", "examples", "edge", "cloud")
        },
        more=more,
    )


def calibration_error(told: Sequence[tuple[float, bool]], bins: int = 10) -> float | None:
    """Return the expected calibration error over bins of equal width (Naeini et al., 2015)."""
    if not told:
        return None
    chances, right = np.array(told, float).T
    places = np.minimum((chances * bins).astype(int), bins - 1)
    gaps = (abs((chances - right)[places == place].sum()) for place in range(bins))
    return float(sum(gaps) / len(told))


def write_report(report: HotspotReport, folder: Path) -> Path:
    """Write ``report.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    write_atomically(path, msgspec.json.format(msgspec.json.encode(report), indent=1))
    return path


def _embed(
    texts: Sequence[str], embedder: OnnxEmbedder, kept: Path | None, progress: Progress
) -> NDArray[np.float32]:
    digest = hashlib.sha256("\0".join([embedder.digest, *texts]).encode()).hexdigest()[:16]
    path = None if kept is None else kept / f"vectors-{digest}.npy"
    if path is not None and path.exists():
        found: NDArray[np.float32] = np.load(path)
        return found
    rows = []
    for start in range(0, len(texts), 256):
        rows.append(embedder.embed(texts[start : start + 256]))
        progress("embedding", min(start + 256, len(texts)), len(texts))
    vectors = np.concatenate(rows)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, vectors)
    return vectors
