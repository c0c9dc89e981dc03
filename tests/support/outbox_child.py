"""A program that works an outbox as fast as it can and says what it was promised; to be killed.

Each line on standard output is a promise already kept (``stored``, ``settled``) or an intention
that may or may not come true (``storing``, ``forgetting``), with the prompt's id.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from uuid import UUID

from device_agent.delivery.outbox_file import OutboxFile

ASKERS = 20
LIMIT_BYTES = 1 << 20


def payload_of(prompt_id: UUID) -> bytes:
    """Return the one payload that goes with an id; often longer than a page."""
    return prompt_id.bytes * (prompt_id.int % 100)


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def _ask(outbox: OutboxFile, draw: random.Random) -> None:
    while True:
        prompt_id = UUID(int=draw.getrandbits(128))
        _say("storing", prompt_id)
        await outbox.store(prompt_id, payload_of(prompt_id))
        _say("stored", prompt_id)
        if draw.random() < 0.1:
            continue
        rivals = [outbox.resolve(prompt_id, rival) for rival in (b"first", b"second")]
        for rival, won in zip(("first", "second"), await asyncio.gather(*rivals), strict=True):
            if won:
                _say("settled", prompt_id, rival)
        if draw.random() < 0.8:
            _say("forgetting", prompt_id)
            outbox.forget(prompt_id)


async def _main(folder: Path, seed: int) -> None:
    outbox = OutboxFile.open(folder, "device-1", limit_bytes=LIMIT_BYTES)
    for row in outbox.recovered():
        _say("forgetting", row.id)
        outbox.forget(row.id)
    await asyncio.gather(*(_ask(outbox, random.Random(seed * ASKERS + k)) for k in range(ASKERS)))


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
