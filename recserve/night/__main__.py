"""Hold the night of a folder, whenever nobody else wants the processor."""

import contextlib
import os
import sys
from pathlib import Path

from recserve.night.hold import main

if __name__ == "__main__":
    os.nice(19)
    with contextlib.suppress(AttributeError, OSError):  # where the system has no such class
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    main(Path(sys.argv[1]))
