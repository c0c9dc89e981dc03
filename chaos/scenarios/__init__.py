"""Every way to break a site that is tried, in the order in which it is."""

from __future__ import annotations

from typing import Final

from chaos.scenarios import links, processes, work

SCENARIOS: Final = (*processes.SCENARIOS, *links.SCENARIOS, *work.SCENARIOS)
SHORT: Final = ("kill-device", "kill-edge", "kill-cloud", "kill-broker", "frames")
"""What is most likely to happen: the form that runs with the tests."""
SHORT_SHARE: Final = 0.5
