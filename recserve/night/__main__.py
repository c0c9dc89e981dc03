"""Hold the night of a folder, whenever nobody else wants the processor; with --awake at once.

After ``memory.night.limit_s`` the process ends itself, whatever it is at, and whoever waits for it
says so.
"""

import contextlib
import sys
from pathlib import Path

from edge_agent.nights.folder import NightFolder
from recserve.night.apart import become_idle, end_after
from recserve.night.hold import TrainedElsewhere, main
from shared.errors import StoreError

if __name__ == "__main__":
    if "--awake" not in sys.argv:
        become_idle()
    folder = Path(sys.argv[1])
    nights, number = NightFolder(folder.parent.parent), int(folder.name)
    with contextlib.suppress(StoreError):  # of which the night itself will say what is wrong
        end_after(nights.order(number).night.limit_s, "memory.night.limit_s")
    with contextlib.suppress(TrainedElsewhere):
        main(folder)
