"""Rejections are all counted and seldom logged, however many senders there are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.errors import MalformedMessage
from shared.telemetry.metrics import Metrics
from shared.telemetry.rejections import RejectionLog

if TYPE_CHECKING:
    import pytest


def test_a_sender_is_logged_once_a_minute_and_counted_always(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    metrics = Metrics()
    refused = RejectionLog(metrics)

    for _ in range(5):
        refused.record("topic/a", MalformedMessage("cut short"))
    refused.record("topic/b", MalformedMessage("cut short"))
    assert capsys.readouterr().out.count("message refused") == 2

    now_s[0] += 61
    refused.record("topic/a", MalformedMessage("still cut short"))
    printed = capsys.readouterr().out
    assert printed.count("message refused") == 1
    assert "still cut short" in printed
    labels = {"fault": "malformed"}
    assert metrics.registry.get_sample_value("recserve_refused_total", labels) == 7


def test_many_senders_do_not_fill_the_memory() -> None:
    refused = RejectionLog(Metrics())
    for number in range(5_000):
        refused.record(f"topic/{number}", MalformedMessage("no"))
    assert len(refused._said_s) <= 1_000
