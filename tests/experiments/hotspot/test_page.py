from __future__ import annotations

import msgspec

from experiments.hotspot.page import page
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.study import HotspotReport, SystemReport


def system(calls: int) -> SystemReport:
    return SystemReport(
        accuracy=0.9,
        accuracy_by_day=[0.9, 0.9],
        cloud_calls=calls,
        cloud_calls_by_day=[calls - 10, 10],
        false_reuse=0.001,
        edge_tokens_per_question=12.0,
        edge_tokens_by_day=[12.0, 12.0],
        index_entries=30,
        degraded=0,
        ways={"cloud": calls},
    )


def test_the_page_sets_the_memory_beside_the_others() -> None:
    systems = {"ic-cache-like": system(200), "memory": system(110)}
    report = HotspotReport(
        settings=HotspotSettings(days=2), questions=400, embedder="x", systems=systems
    )
    text = page(msgspec.json.decode(msgspec.json.encode(report), type=HotspotReport))

    assert "| **memory** | 90.0% | 110 | 100 | 10 |" in text
    assert "0.55 of ic-cache-like's" in text
    assert "0.10 of those of the first" in text
