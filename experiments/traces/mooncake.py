"""Mooncake's traces: JSON lines with ``timestamp`` (ms), ``input_length`` and ``output_length``.

Published at github.com/kvcache-ai/Mooncake with Qin et al., "Mooncake" (FAST 2025). A count may be
written as ``128.0``, as pandas does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from experiments.traces.arrival import Arrival, Seconds, Tokens
from experiments.traces.values import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.traces.faults import Faults
    from shared.text_files import Line


class _Request(msgspec.Struct, frozen=True):
    timestamp: Seconds
    input_length: Tokens
    output_length: Tokens


_requests = msgspec.json.Decoder(_Request, strict=False)


def read(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[tuple[int, Arrival]]:
    """Yield arrivals; the times are from the trace's own beginning."""
    del seed
    return faults.each(lines, _arrival)


def _arrival(text: str) -> Arrival:
    request = decode(_requests, text)
    return Arrival(
        at_s=request.timestamp / 1000,
        input_tokens=request.input_length,
        output_tokens=request.output_length,
    )
