"""A tiny model that knows the rivers of some towns, and a memory of towns it does not know."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from rich.console import Console

from edge_agent.memory.entries import Entry
from edge_agent.memory.store import MemoryStore
from edge_agent.nights.folder import NightFolder, NightOrder
from edge_agent.nights.settings import NightSettings
from shared.runtimes import ModelSettings

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes.onnx_embedder import OnnxEmbedder

WORDINGS: Final = (
    "Which river runs through {}?",
    "What is the river of {}?",
    "By which river does {} lie?",
    "{} lies by which river?",
)
KNOWN, NEW = 24, 12
_DIMENSIONS: Final = 8


class Town(NamedTuple):
    """A town and its river."""

    name: str
    river: str

    def questions(self) -> list[str]:
        return [form.format(self.name) for form in WORDINGS]


class Learner(NamedTuple):
    """A base, the bundle packed of it, what it knows as a file, and towns that it does not know."""

    base: Path
    bundle: Path
    old: Path
    known: list[Town]
    new: list[Town]

    @property
    def model(self) -> ModelSettings:
        return ModelSettings(source=str(self.bundle), runtime="genai")

    def settings(self, **changes: Any) -> NightSettings:
        chosen: dict[str, Any] = {
            "base": str(self.base),
            "old": str(self.old),
            "steps": 160,
            "rank": 16,
            "learning_rate": 4e-3,
            "new_rows": 16,
            "old_rows": 16,
            "least": 4,
        }
        return NightSettings(**chosen | changes)


def write_learner(folder: Path) -> Learner:
    """Train and pack it; takes seconds. Needs the extra ``learn``."""
    from models.adapt.recipe import AdaptRow  # noqa: PLC0415 - optional
    from models.train.writer import (  # noqa: PLC0415 - optional
        WriterSchedule,
        WriterShape,
        train_writer,
    )

    towns = _towns(KNOWN + NEW)
    known = towns[:KNOWN]
    rows = [AdaptRow(text, town.river) for town in known for text in town.questions()]
    texts = [text for town in towns for text in (*town.questions(), town.river)]
    shape = WriterShape(vocabulary=480, width=64, heads=2, layers=2, positions=64)
    train_writer(rows, texts, shape, WriterSchedule(200, rows=24), folder / "base")
    pack_rivers(folder / "base", folder / "bundle", [row.text for row in rows[:8]])
    old = folder / "known.jsonl"
    old.write_text("".join(_line(town) for town in known))
    return Learner(folder / "base", folder / "bundle", old, known, towns[KNOWN:])


def pack_rivers(source: Path, out: Path, prompts: list[str]) -> None:
    """Pack a model as the learner's is packed."""
    from models.pack.generator import GeneratorRequest, pack_generator  # noqa: PLC0415 - optional

    request = GeneratorRequest(
        source=str(source),
        out=out,
        name="rivers",
        precision="float32",
        prompts=tuple(prompts),
    )
    pack_generator(request, Console(quiet=True))


def write_random(learner: Learner, folder: Path) -> None:
    """Write a model like the learner's base that has learned nothing at all."""
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM  # noqa: PLC0415 - optional

    LlamaForCausalLM(AutoConfig.from_pretrained(learner.base)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(learner.base).save_pretrained(folder)


async def remember(folder: Path, towns: list[Town], embedder: OnnxEmbedder | None = None) -> Path:
    """Write a memory in which each town has been asked for in every wording.

    Without an ``embedder`` its vectors say nothing: for nights, which do not look at them.
    """
    digest = embedder.digest if embedder else "tiny"
    store = MemoryStore.open(folder, digest, embedder.dimensions if embedder else _DIMENSIONS)
    for number, town in enumerate(towns, start=1):
        questions = town.questions()
        entry = Entry(
            id=number,
            task="generate",
            wordings=questions,
            answer=town.river,
            created_s=1.0,
            used_s=1.0,
            state="stable",
        )
        plain = [np.ones(_DIMENSIONS, np.float32)] * len(questions)
        store.put(entry, list(embedder.embed(questions)) if embedder else plain)
    await store.close()
    return folder / "memory.db"


def order_night(
    state: Path, learner: Learner, *, number: int = 1, warm: int = 0, **changes: Any
) -> tuple[NightFolder, int]:
    """Have the towns that the learner does not know remembered, and order a night about them."""
    state.mkdir(parents=True, exist_ok=True)
    nights = NightFolder(state)
    if not (state / "memory.db").exists():
        asyncio.run(remember(state, learner.new))
    nights.write_order(
        NightOrder(
            number=number,
            day="2026-01-01",
            ordered_s=2.0,
            memory=str(state / "memory.db"),
            model=learner.model,
            own="",
            warm=warm,
            night=learner.settings(**changes),
        )
    )
    return nights, number


def _line(town: Town) -> str:
    *learned, held_out = town.questions()
    return json.dumps({"wordings": learned, "held_out": held_out, "answer": town.river}) + "\n"


def _towns(count: int) -> list[Town]:
    draw = random.Random(4)
    names = [f"{one}{two}" for one in _FIRST for two in _LAST]
    rivers = [f"{one}{two}" for one in _RIVERS for two in _ENDS]
    draw.shuffle(names)
    draw.shuffle(rivers)
    return [Town(name, river) for name, river in zip(names[:count], rivers[:count], strict=True)]


_FIRST: Final = ("Al", "Bran", "Cal", "Dun", "Fair", "Glen", "Hart", "King")
_LAST: Final = ("ford", "ham", "mouth", "stead", "ton", "wick")
_RIVERS: Final = ("Ar", "Bel", "Dor", "Ev", "Lo", "Mar", "Sil")
_ENDS: Final = ("ava", "enne", "ire", "one", "una", "wen")
