"""Every way to break a site that is tried, in the order in which it is."""

from __future__ import annotations

from typing import Final

from chaos.scenarios import disks, links, processes, slow, work

SCENARIOS: Final = (
    *processes.SCENARIOS,
    *links.SCENARIOS,
    *slow.SCENARIOS,
    *disks.SCENARIOS,
    *work.SCENARIOS,
)
SHORT: Final = (
    "kill-device",
    "kill-edge",
    "kill-cloud",
    "kill-broker",
    "frames",
    "log-unwritable",
    "panic",
    "packet-limit",
)
"""What is most likely to happen: the form that runs with the tests."""
SHORT_SHARE: Final = 0.5
