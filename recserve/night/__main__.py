"""Hold the night of a folder, whenever nobody else wants the processor; with --awake at once.

After ``memory.night.limit_s`` the process ends itself, whatever it is at, and whoever waits for it
says so.
"""

import contextlib
import os
import sys
from pathlib import Path
from threading import Timer

from edge_agent.nights.folder import NightFolder
from recserve.night.hold import main
from shared.errors import StoreError


def _end_after(limit_s: float) -> None:
    def end() -> None:
        sys.stderr.write(f"memory.night.limit_s passed, which is {limit_s:g} s\n")
        sys.stderr.flush()
        os._exit(1)

    timer = Timer(limit_s, end)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    if "--awake" not in sys.argv:
        os.nice(19)
        with contextlib.suppress(AttributeError, OSError):  # where the system has no such class
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    folder = Path(sys.argv[1])
    nights, number = NightFolder(folder.parent.parent), int(folder.name)
    with contextlib.suppress(StoreError):  # of which the night itself will say what is wrong
        _end_after(nights.order(number).night.limit_s)
    main(folder)
