"""The last minutes of one agent: as they were told, and never more than there is room for."""

from __future__ import annotations

from cloud_agent.center.registry.trace import SAMPLES, NodeTrace
from shared.wire.control import Telemetry


def test_what_is_counted_is_told_as_it_grew_and_a_new_beginning_as_none() -> None:
    trace = NodeTrace()
    for at, kept in ((10.0, 4), (12.0, 10), (13.0, 1)):
        trace.add(Telemetry(kept=kept, waiting=kept, p95_ms=2.5), at)

    columns = trace.columns()
    assert columns["at"] == [10.0, 12.0, 13.0]
    assert columns["charts"]["waiting"] == {"waiting": [4.0, 10.0, 1.0]}
    assert columns["charts"]["prompts_s"]["kept"] == [None, 3.0, None]


def test_the_oldest_goes() -> None:
    trace = NodeTrace()
    for at in range(SAMPLES + 5):
        trace.add(Telemetry(), float(at))

    assert trace.columns()["at"] == [float(at) for at in range(5, SAMPLES + 5)]
