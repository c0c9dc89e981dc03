"""Jobs and a catalogue for rounds on agents that run the bundles of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloud_agent.center.catalogue.file import (
    CatalogueFile,
    MeasuredGrade,
    MeasuredModel,
    MeasuredOn,
    write_catalogue,
)
from shared.runtimes.bundle import Bundle
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BUNDLES = {tier: ROOT / "models" / "bundles" / f"sentiment-{tier}" for tier in ("device", "edge")}
REMARKS = (
    ("a splendid bearing, very quiet", "positive"),
    ("the seal leaks badly again", "negative"),
    ("I love how smoothly it runs", "positive"),
    ("it broke on the first day, terrible", "negative"),
)


def write_jobs(path: Path) -> Path:
    """Write remarks with their labels as jobs."""
    lines = (
        msgspec.json.encode({"kind": "label", "text": text, "references": [label]})
        for text, label in REMARKS
    )
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def write_measured(path: Path) -> Path:
    """Write a catalogue of two bundles, as if they had been measured."""
    file = CatalogueFile()
    for tier, folder in BUNDLES.items():
        bundle = Bundle.open(folder)
        on = MeasuredOn(
            measured="2026-01-01T00:00:00+00:00",
            machine="here",
            cores=2,
            threads=1,
            load_s=0.1,
            memory_bytes=5e7,
            prompt_s={"device": 0.0005, "edge": 0.002}[tier],
        )
        file = file.with_model(
            MeasuredModel(
                name=bundle.manifest.name,
                version=bundle.manifest.version,
                digest=bundle.digest,
                task="classify",
                size_bytes=bundle.size_bytes,
                grades={"label": MeasuredGrade(0.8, 100, "made up")},
                on={"here": on},
            )
        )
    write_catalogue(path, file)
    return path
