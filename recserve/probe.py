"""How fast the machine is from moment to moment, by a piece of work that is always the same.

The cores of a shared virtual machine run at half their speed from one second to the next, as their
neighbours please, and the clocks of a small board sink when it is hot. A process beside what is
measured puts the same prompt through the demo's smallest model, a few times a second (some 2 % of a
core), and notes what it took, in processor time.
"""

from __future__ import annotations

import bisect
import contextlib
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from shared.runtimes import ModelSettings, load_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.runtimes import Model

BUNDLE: Final = Path(__file__).parents[1] / "models" / "bundles" / "sentiment-device"
_TEXT: Final = "the pump runs well again, and the new seal does not leak any more"
_EVERY_S: Final = 0.2
_TRIES: Final = 6
_LEAST_SAMPLES: Final = 5


class Probe:
    """What the piece of work took, moment by moment, on the monotonic clock."""

    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._us: list[float] = []

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[Probe]:
        """Watch the machine while the context lasts; yields once there is something to see."""
        probe = cls()
        process = subprocess.Popen(
            [sys.executable, "-m", "recserve.probe"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        reader = threading.Thread(target=probe._read, args=(process.stdout,))
        reader.start()
        try:
            while len(probe._us) < _LEAST_SAMPLES and process.poll() is None:
                time.sleep(_EVERY_S)
            yield probe
        finally:
            process.terminate()
            process.wait()
            reader.join()
            process.stdout.close()

    def us(self, begin_s: float = 0.0, end_s: float | None = None) -> float:
        """Return the mean over a stretch of time, or over the samples nearest to a short one."""
        first = bisect.bisect_left(self._at_s, begin_s)
        last = len(self._at_s) if end_s is None else bisect.bisect_right(self._at_s, end_s)
        missing = max(_LEAST_SAMPLES - (last - first), 0)
        first, last = max(first - missing, 0), last + missing
        return statistics.fmean(self._us[first:last])

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            at_s, us = line.split()
            self._at_s.append(float(at_s))
            self._us.append(float(us))


def _work(model: Model) -> float:
    """Do the piece of work; return the microseconds of processor time that it took."""
    begun_s = time.thread_time()
    model.answer([_TEXT])
    return (time.thread_time() - begun_s) * 1e6


def _main() -> None:
    model = load_model(ModelSettings(source=str(BUNDLE)))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            us = statistics.median([_work(model) for _ in range(_TRIES)][1:])  # warm
            sys.stdout.write(f"{time.monotonic():.6f} {us:.3f}\n")
            sys.stdout.flush()
            time.sleep(_EVERY_S)


if __name__ == "__main__":
    _main()
