"""Runs made up for tests: records of which every figure is known, in a folder like a real one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec

from experiments.evaluation.answer_store import prompt_key
from experiments.replay.records import Record, open_records
from experiments.replay.run_file import RunFile, write_run
from experiments.replay.samples import Sample
from shared.messages import Hop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.replay.saturation import Tick

TIERS = ("device", "edge", "cloud")
DEVICE_MS, EDGE_MS, CLOUD_MS = 2.0, 10.0, 30.0


def made_run(**changes: Any) -> RunFile:
    run = RunFile(
        name="made-up",
        id="0" * 32,
        begun="2026-01-01T00:00:00+00:00",
        pace="open",
        in_flight=16,
        speed=10.0,
        devices=5,
        tiers=TIERS,
        prompts=100,
        length_s=100.0,
        fingerprint="f" * 32,
        settings={},
        state="whole",
        played_s=100.0,
    )
    return msgspec.structs.replace(run, **changes)


def made_record(number: int, **changes: Any) -> Record:
    """Every second prompt stays, every fourth gets to the cloud; one a second."""
    reach = (1, 2, 1, 3)[number % 4]
    latency_ms = (DEVICE_MS, EDGE_MS, CLOUD_MS)[reach - 1]
    text = f"prompt {number}"
    hops = tuple(
        Hop(tier, f"{tier}-1", 0.9 - 0.1 * place, 0.8 - 0.1 * place, 1000)
        for place, tier in enumerate(TIERS[:reach])
    )
    record = Record(
        number=number,
        id=f"{number:032x}",
        device=f"virtual-{number % 5}",
        task="classify",
        at_s=float(number),
        sent_s=number + 0.001,
        done_s=number + latency_ms / 1000,
        key=prompt_key(text).hex(),
        hops=hops,
        answer={"label": "positive" if number % 10 else "negative"},
        label="positive",
        packet_bytes={"device-edge": 100} if reach == 2 else {},
    )
    return msgspec.structs.replace(record, **changes)


def made_samples(seconds: int) -> list[Sample]:
    """An edge agent that answers ten prompts a second in batches of two, after 5 ms each."""
    return [
        Sample(
            float(second),
            "edge-1",
            "edge",
            {"device-edge": 1000 * second},
            batches=5.0 * second,
            batched=10.0 * second,
            queued=10.0 * second,
            queued_s=0.05 * second,
            batch_buckets={"1.0": 0.0, "2.0": 5.0 * second, "4.0": 5.0 * second},
            queue_buckets={"0.001": 0.0, "0.01": 10.0 * second},
        )
        for second in range(seconds + 1)
    ]


def noisy_records(prompts: int, *, scale: float, seed: int) -> list[Record]:
    """Latencies as they scatter in life, ``scale`` times longer."""
    draw = random.Random(seed)
    return [
        made_record(number, done_s=number + scale * draw.lognormvariate(-4, 0.5))
        for number in range(prompts)
    ]


def write_made_run(
    folder: Path,
    records: Sequence[Record],
    *,
    samples: Sequence[Sample] = (),
    ticks: Sequence[Tick] = (),
    **changes: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_run(folder, made_run(**{"prompts": len(records)} | changes))
    with open_records(folder) as writer:
        for record in records:
            writer.write(record)
    for name, lines in (("samples", samples), ("ticks", ticks)):
        text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        (folder / f"{name}.jsonl").write_bytes(text)
    return folder
