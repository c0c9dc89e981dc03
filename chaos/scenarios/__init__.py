"""Every way to break a site that is tried, in the order in which it is."""

from __future__ import annotations

from typing import Final

from chaos.scenarios import disks, links, memory, processes, slow, work

SCENARIOS: Final = (
    *processes.SCENARIOS,
    *links.SCENARIOS,
    *slow.SCENARIOS,
    *disks.SCENARIOS,
    *work.SCENARIOS,
    *memory.SCENARIOS,
)
SHORT: Final = (
    "kill-device",
    "every-task",
    "kill-broker",
    "frames",
    "long-texts",
    "log-unwritable",
    "panic",
    "packet-limit",
    "memory",
)
"""What is most likely to happen: the form that runs with the tests."""
SHORT_SHARE: Final = 0.5
_MIXED: Final = (*SHORT, "kill-edge", "kill-cloud", *(each.name for each in slow.SCENARIOS))
MIXED: Final = tuple(
    scenario.mixed()
    for scenario in SCENARIOS
    if scenario.name in _MIXED and scenario.plan.tasks == ("classify",)
)
"""What is short and what is slow, with questions of all three tasks."""
