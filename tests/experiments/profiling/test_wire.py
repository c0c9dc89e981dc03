"""Where a request's time goes adds up, between a device and an edge agent that run."""

from __future__ import annotations

import pytest

from experiments.profiling.wire import Crossed, measure_wire
from tests.support.processes import skip_without


def test_the_wires_part_is_what_no_agent_calls_its_own() -> None:
    assert Crossed(10.0, 3.0, 5.5).wire_ms == pytest.approx(1.5)


async def test_requests_cross_a_real_broker_at_both_paces() -> None:
    pytest.importorskip("onnxruntime_genai")
    skip_without("mosquitto")

    paced = await measure_wire(5, 2)

    assert list(paced) == ["straight after another", "after a pause"]
    for pace in paced.values():
        assert len(pace.crossed) == 5
        assert all(each.wire_ms > 0 for each in pace.crossed)
        assert all(each.device_ms > 0 and each.edge_ms > 0 for each in pace.crossed)
