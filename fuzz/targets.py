"""One function for each decoder: any bytes in, a value or the one named error out.

Whatever else is raised is a finding: on the wire it would reach code that is not prepared for it.
What was accepted must also survive being written and read again. The functions need no fuzzer, so
``tests/fuzz`` runs them, too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from broker import site as site_file
from device_agent.api.schema import read_ask, read_desk, read_echo, write_answer
from device_agent.delivery.outbox_codec import asker_of, decode, encode_escalated, encode_resolved
from device_agent.delivery.outbox_file import OutboxRow
from device_agent.settings import DeviceSettings
from experiments.datasets.read import read_set
from experiments.datasets.source import Source
from experiments.traces import read_trace
from experiments.traces.own import write
from experiments.traces.synthetic import is_synthetic
from fuzz.seeds import seeds
from models.conll import read_sentences
from shared.bus import Message
from shared.errors import BundleError, DataError, InvalidPrompt, MalformedMessage, SettingsError
from shared.membership.status import decode_status
from shared.messages import Result
from shared.runtimes.bundle import Bundle
from shared.runtimes.classifier_batches import Batches
from shared.runtimes.manifest import Manifest
from shared.runtimes.onnx_session import load_tokenizer
from shared.settings.file import load
from shared.tasks import check
from shared.tasks.classify import requests
from shared.wire.codec import (
    decode_prompt,
    decode_result,
    encode_notice,
    encode_prompt,
    encode_result,
)
from shared.wire.control import (
    VERSION,
    CenterWord,
    Desired,
    NodeReport,
    NodeState,
    PieceWanted,
    Telemetry,
    decode_word,
    encode_word,
)
from shared.wire.manifest import CHUNK_BYTES, decode_manifest, encode_manifest, read_body
from shared.wire.nights import LessonState, LetGo, NightLesson, decode_night, encode_night
from shared.wire.topics import PromptAddress, Topics

if TYPE_CHECKING:
    from collections.abc import Callable

_WORDS: Final[tuple[Any, ...]] = (
    NodeReport,
    NodeState,
    Telemetry,
    Desired,
    CenterWord,
    PieceWanted,
)
_TOPICS: Final = Topics("recserve")
_ANSWERS: Final = _TOPICS.answers("device-1")
_ADDRESS: Final = PromptAddress("cloud-1", "classify", "device-1", "edge-1")
_ID: Final = UUID(int=7)
_PAYLOAD: Final = seeds("row")[0]
_READ: Final = ("a good film", "", "naïve 最高 👍", "x" * 300, "half a \ud800 character")
_ENOUGH: Final = 200
"""Arrivals of a trace that are looked at: a rate may ask for billions."""
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the file is made by mkstemp


def prompt(data: bytes) -> None:
    """Read a prompt from the tier below."""
    with contextlib.suppress(MalformedMessage):
        read = decode_prompt(data, _ADDRESS, now_s=0.0)
        reread = decode_prompt(encode_prompt(read, now_s=0.0), _ADDRESS, now_s=0.0)
        assert (reread.id, reread.text, reread.hops) == (read.id, read.text, read.hops)
        assert reread.options == read.options
        with contextlib.suppress(InvalidPrompt):
            check("generate", read.options)


def result(data: bytes) -> None:
    """Read a result, or a refusal, from above."""
    with contextlib.suppress(MalformedMessage):
        read = decode_result(data)
        if isinstance(read, Result):
            assert decode_result(encode_result(read, known_hops=0, sourced=True)) == read
        else:
            assert decode_result(encode_notice(read[0], read[1].code, read[1].agent)) == read


def row(data: bytes) -> None:
    """Read a row of the outbox, once as what was asked and once as its result."""
    asker_of(OutboxRow(_ID, data, None))
    for each in (OutboxRow(_ID, data, None), OutboxRow(_ID, _PAYLOAD, data)):
        with contextlib.suppress(MalformedMessage):
            read = decode(each, "device-1")
            encode_prompt(read.escalated.prompt, now_s=0.0)
            result = read.result or read.escalated.degraded("late")
            write_answer(result, echo=None, elapsed_s=0.0)
            payload, settled = encode_escalated(read.escalated, read.asker), encode_resolved(result)
            reread = decode(OutboxRow(_ID, payload, settled), "device-1")
            assert (reread.asker, reread.result) == (read.asker, result)
            assert reread.escalated.local_result == read.escalated.local_result


def status(data: bytes) -> None:
    """Read what an agent says of itself."""
    with contextlib.suppress(MalformedMessage):
        decode_status(data)


def topic(data: bytes) -> None:
    """Read the topic of a prompt and of a status."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(MalformedMessage):
        address = _TOPICS.read_prompt(text)
        assert _TOPICS.prompt(*address) == text
    with contextlib.suppress(MalformedMessage):
        assert _TOPICS.status(*_TOPICS.read_status(text)) == text


def ask(data: bytes) -> None:
    """Read a question as people and other programs put it, and what of it a refusal repeats."""
    with contextlib.suppress(InvalidPrompt):
        read_ask(data).prompt_id("device-1")
    msgspec.json.encode(read_echo(data))


def desk(data: bytes) -> None:
    """Read where a question wants its answer; what others trust is never such a place."""
    wanted = data.decode("utf-8", "replace")
    message = Message("ask", b"", response_topic=wanted, correlation=data)
    with contextlib.suppress(InvalidPrompt):
        answer_to, _ = read_desk(message, _ANSWERS, _TOPICS.root)
        ours = answer_to == _ANSWERS or answer_to.startswith(f"{_ANSWERS}/")
        assert ours or not answer_to.startswith((f"{_TOPICS.root}/", "$"))


def settings(data: bytes) -> None:
    """Read a settings file."""
    file = _scratch_file()
    file.write_bytes(data)
    with contextlib.suppress(SettingsError):
        load(DeviceSettings, file)


def trace(data: bytes) -> None:
    """Read a trace of any format, packed in any way; what is read is written and read again."""
    file, again = _scratch_file(".trace"), _scratch_file(".jsonl")
    file.write_bytes(data)
    for skip in (True, False):
        with contextlib.suppress(DataError):
            found = read_trace(str(file), skip_bad_rows=skip)
            arrivals = list(islice(found.arrivals, _ENOUGH))
            assert write(arrivals, again) == len(arrivals)
            reread = list(read_trace(str(again), format_="recserve", skip_bad_rows=False).arrivals)
            assert reread == arrivals


def drawn(data: bytes) -> None:
    """Draw the arrivals that a text like ``poisson:rate=5`` asks for."""
    place = data.decode("utf-8", "replace")
    if is_synthetic(place):
        with contextlib.suppress(DataError):
            at_s = [arrival.at_s for arrival in islice(read_trace(place).arrivals, _ENOUGH)]
            assert at_s == sorted(at_s)


def labelled(data: bytes) -> None:
    """Read a set of labelled prompts, as a table and as JSON lines."""
    for suffix in (".tsv", ".jsonl"):
        file = _scratch_file(suffix)
        file.write_bytes(data)
        with contextlib.suppress(DataError):
            found = read_set(Source(place=str(file)), ("negative", "positive"))
            assert len(found.texts) == len(found.labels) > 0


def tagged(data: bytes) -> None:
    """Read sentences whose entities are marked; every entity has a place in its sentence."""
    file = _scratch_file(".conll")
    file.write_bytes(data)
    with contextlib.suppress(DataError):
        for sentence in read_sentences(file):
            for kind, start, end in sentence.places:
                assert kind
                assert 0 <= start < end <= len(sentence.text)


def manifest(data: bytes) -> None:
    """Read what a bundle says of itself; its other files are not there, so none is accepted."""
    folder = _scratch_folder()
    (folder / "bundle.yaml").write_bytes(data)
    with contextlib.suppress(BundleError):
        Bundle.open(folder)


def tokenizer(data: bytes) -> None:
    """Read a bundle's tokenizer and let it read texts: each is answered, or fails alone."""
    folder = _scratch_folder()
    bundle = Bundle(folder, Manifest(name="m", version="1", labels=("a", "b"), max_tokens=64), "")
    bundle.tokenizer.write_bytes(data)
    with contextlib.suppress(BundleError):
        read = load_tokenizer(bundle, None)
        batches = Batches(
            ("a", "b"),
            tokenise=lambda text: list(read.encode(text).ids),
            forward=lambda batch: [[0.0, 1.0]] * len(batch),
            batch_prompts=4,
        )
        assert len(batches.answer(requests(_READ))) == len(_READ)


def site(data: bytes) -> None:
    """Read who is a member of a provisioned site; what is read is written and read again."""
    folder = _scratch_folder()
    (folder / site_file.FILE).write_bytes(data)
    with contextlib.suppress(SettingsError):
        read = site_file.read(folder)
        site_file.access(read)
        (folder / site_file.FILE).write_bytes(site_file.encode(read))
        assert site_file.read(folder) == read


def flag(data: bytes) -> None:
    """Read a setting from a flag; one from the environment takes the same way."""
    file = _scratch_file()
    file.write_bytes(b"{}")
    with contextlib.suppress(SettingsError):
        load(DeviceSettings, file, flags=[data.decode("utf-8", "surrogateescape")])


def control(data: bytes) -> None:
    """Read what the centre and agents say to each other, as each kind of it."""
    for kind in _WORDS:
        with contextlib.suppress(MalformedMessage):
            word = decode_word(kind, data)
            if getattr(word, "version", VERSION) <= VERSION:
                assert decode_word(kind, encode_word(word)) == word


def lesson(data: bytes) -> None:
    """Read what an edge and its trainer say to each other, as each kind of it."""
    kinds: tuple[Any, ...] = (NightLesson, LessonState, LetGo)
    for kind in kinds:
        with contextlib.suppress(MalformedMessage):
            word = decode_night(kind, data)
            assert decode_night(kind, encode_night(word)) == word


def shipped(data: bytes) -> None:
    """Read the envelope of a bundle, and what is in it though nobody signed that."""
    with contextlib.suppress(MalformedMessage):
        envelope = decode_manifest(data)
        assert decode_manifest(encode_manifest(envelope)) == envelope
        for file in read_body(envelope).files:
            assert "/" not in file.name
            assert len(file.hashes()) * CHUNK_BYTES >= file.size_bytes


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "prompt": prompt,
    "result": result,
    "row": row,
    "status": status,
    "control": control,
    "lesson": lesson,
    "shipped": shipped,
    "topic": topic,
    "ask": ask,
    "desk": desk,
    "settings": settings,
    "flag": flag,
    "trace": trace,
    "drawn": drawn,
    "labelled": labelled,
    "tagged": tagged,
    "manifest": manifest,
    "site": site,
    "tokenizer": tokenizer,
}

_scratch: dict[str, Path] = {}


@lru_cache(1)
def _scratch_folder() -> Path:
    """Return this process's one folder."""
    folder = tempfile.mkdtemp(dir=_SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _scratch_file(suffix: str = ".yaml") -> Path:
    """Return this process's one file of a kind, in memory where there is such a folder."""
    if suffix not in _scratch:
        folder = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        descriptor, name = tempfile.mkstemp(suffix=suffix, dir=folder)
        os.close(descriptor)
        _scratch[suffix] = Path(name)
        atexit.register(_scratch[suffix].unlink, missing_ok=True)
    return _scratch[suffix]
