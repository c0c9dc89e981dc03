"""A head's teacher: a model that is loaded here, or a server that is asked over HTTP.

Either gives what it says of each text as probabilities. A server only names a label, which then has
all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from rich.progress import track

from models.pack.labelled import scored_or_raise
from models.pack.needs import needs
from shared.errors import BundleError
from shared.runtimes import ModelSettings, labels_of, load_model
from shared.runtimes.bundle_files import MANIFEST
from shared.tasks.classify import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rich.console import Console

    from shared.runtimes import Model

    Floats = NDArray[np.float64]

SHOWN: Final = 80
"""Characters of a text, or of what was said to it, in an error."""
_CHUNK_PROMPTS: Final = 64


@dataclass(frozen=True)
class TeacherServer:
    """A server with an OpenAI-compatible API, and one of its models.

    ``url`` is that of the API, to which ``/chat/completions`` is added; ``key`` goes with every
    request if there is one. Each request has ``timeout_s``, and ``in_flight`` of them are under way
    at a time. What was said is kept in a file in the folder ``kept``: nothing is asked twice.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    in_flight: int = 8
    timeout_s: float = 60.0
    kept: Path = Path("runs/teacher")

    @property
    def name(self) -> str:
        """The model and where it is, for people."""
        return f"{self.model} at {self.url}"


class Taught(NamedTuple):
    """What a teacher said: of which texts, and probabilities of shape (texts, labels)."""

    teacher: str
    texts: tuple[str, ...]
    probabilities: Floats


def ask_teacher(
    teacher: str | TeacherServer, texts: Sequence[str], labels: Sequence[str], console: Console
) -> Taught:
    """Ask a teacher about texts; probabilities are in the order of ``labels``.

    A server's answers that name no label are left out with their texts. Raises ``BundleError`` when
    the teacher has other labels or fails on a text, ``RuntimeUnavailable`` when a library is
    missing, ``DataError`` when answers cannot be kept.
    """
    if isinstance(teacher, TeacherServer):
        return _ask_server(teacher, texts, labels, console)
    model = load_teacher(teacher, labels)
    try:
        what = f"asking the teacher {model.name}"
        return Taught(model.name, tuple(texts), answers(model, texts, labels, what, console))
    finally:
        model.close()


def load_teacher(source: str, labels: Sequence[str]) -> Model:
    """Load a bundle, or else a folder or hub id of transformers; its labels must be the same.

    Raises ``BundleError`` when it is not there or has other labels.
    """
    runtime = "onnx" if (Path(source) / MANIFEST).is_file() else "transformers"
    teacher = load_model(
        msgspec.convert(
            {"source": source, "runtime": runtime, "threads": 0, "batch_prompts": 1}, ModelSettings
        )
    )
    if sorted(labels_of(teacher)) != sorted(labels):
        teacher.close()
        raise BundleError(
            f"{source}: the teacher knows {', '.join(labels_of(teacher))}, but the model to be "
            f"packed {', '.join(labels)}; a head needs a teacher with the same labels"
        )
    return teacher


def answers(
    model: Model, texts: Sequence[str], labels: Sequence[str], what: str, console: Console
) -> Floats:
    """Return a model's probabilities in the order of ``labels``; shape (texts, labels)."""
    order = [labels_of(model).index(name) for name in labels]
    rows: list[list[float]] = []
    starts = range(0, len(texts), _CHUNK_PROMPTS)
    for start in track(starts, what, console=console, transient=True):
        chunk = texts[start : start + _CHUNK_PROMPTS]
        for text, entry in zip(chunk, model.answer(requests(chunk)), strict=True):
            scored = scored_or_raise(entry, f"text {text[:SHOWN]!r}")
            rows.append([scored.probabilities[index] for index in order])
    return np.array(rows)


def _ask_server(
    server: TeacherServer, texts: Sequence[str], labels: Sequence[str], console: Console
) -> Taught:
    with needs("teacher", "a teacher behind a URL"):
        from models.pack.teacher_server import ask_server  # noqa: PLC0415 - optional
    said = ask_server(server, texts, labels, console)
    certain = np.eye(len(labels))
    return Taught(server.name, tuple(said), certain[[labels.index(name) for name in said.values()]])
