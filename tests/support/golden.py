"""Golden payloads, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from shared.messages import Failure, Hop, Prompt, Provenance, Result
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from shared.tasks.tag import Entities, Span
from shared.wire.codec import (
    Notice,
    decode_prompt,
)
from shared.wire.topics import PromptAddress

if TYPE_CHECKING:
    from shared.tasks import Task

GOLDEN = Path(__file__).parents[1] / "golden"
ID = UUID("01234567-89ab-4def-8123-456789abcdef")
DEVICE_HOP = Hop("device", "device-1", 0.625, 0.75, 1_234)
EDGE_HOP = Hop("edge", "edge-1", 0.5, 0.875, 56_789)
CLOUD_HOP = Hop("cloud", "cloud-1", 1.0, 0.25, 98_765)
REMEMBERED = Provenance("memory", "sentiment-cloud", "f00d", (7,))


PROMPTS = {
    "prompt-from-device": Prompt(ID, "device-1", "classify", "the valve sticks", 30, (DEVICE_HOP,)),
    "prompt-from-edge": Prompt(
        ID,
        "device-1",
        "classify",
        "das Ventil klemmt – schon wieder",
        12.5,
        (DEVICE_HOP, EDGE_HOP),
        sender="edge-1",
    ),
    "prompt-with-copy": Prompt(
        ID, "device-1", "classify", "the valve sticks", 30, (DEVICE_HOP,), copy=True
    ),
    "prompt-with-options": Prompt(
        ID,
        "device-1",
        "generate",
        "What sticks?",
        30,
        (DEVICE_HOP,),
        options={"max_new_tokens": 32, "stop": ["\n"], "json_schema": {"type": "string"}},
    ),
    "prompt-sourced": Prompt(
        ID, "device-1", "classify", "the valve sticks", 30, (DEVICE_HOP,), sourced=True
    ),
    "prompt-sourced-with-options": Prompt(
        ID,
        "device-1",
        "generate",
        "What sticks?",
        30,
        (DEVICE_HOP,),
        options={"max_new_tokens": 32},
        sourced=True,
    ),
}


RESULTS = {
    "result-from-edge": Result(ID, Label("negative"), (EDGE_HOP,)),
    "result-from-cloud": Result(ID, Label("positive"), (EDGE_HOP, CLOUD_HOP)),
    "result-degraded": Result(ID, Label("negative"), (EDGE_HOP,), "no cloud agent took the prompt"),
    "result-with-entities": Result(
        ID, Entities((Span("PART", 4, 9, 0.75), Span("PLACE", 20, 28, 0.5))), (EDGE_HOP,)
    ),
    "result-with-text": Result(
        ID, Completion("Das Ventil klemmt.", "length", 17, 6, prompt_cut=True), (CLOUD_HOP,)
    ),
    "result-remembered": Result(
        ID, Label("negative"), (DEVICE_HOP, msgspec.structs.replace(EDGE_HOP, source=REMEMBERED))
    ),
    "result-failed": Result(ID, Failure("model_failed", "ValueError: no such token"), (EDGE_HOP,)),
}


NOTICES = {
    "notice-busy": Notice("busy", "edge-1"),
    "notice-working": Notice("working", "edge-1"),
}


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.msgpack").read_bytes()


def read_prompt(payload: bytes, sender: str = "device-1", task: Task = "classify") -> Prompt:
    return decode_prompt(payload, address(sender, task), now_s=0.0)


def address(sender: str = "device-1", task: Task = "classify") -> PromptAddress:
    return PromptAddress("cloud-1", task, "device-1", sender)
