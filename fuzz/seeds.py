"""Where mutation starts from: one good input, or several, for each target."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_GOLDEN: Final = _ROOT / "tests/golden"


def seeds(target: str) -> list[bytes]:
    """Return inputs that the decoder of a target accepts, and some that it nearly does."""
    if target in ("prompt", "result"):
        files = [*_GOLDEN.glob(f"{target}-*.msgpack"), *_GOLDEN.glob("notice-*.msgpack")]
        return [file.read_bytes() for file in files]
    if target == "settings":
        return [file.read_bytes() for file in sorted((_ROOT / "configs").glob("*.yaml"))]
    return _TEXTS[target]


_TEXTS: Final = {
    "status": [
        b'{"state":"offline","epoch":1760000000000}',
        b'{"state":"online","epoch":1,"tasks":["classify"],"model":"m"}',
        b'{"state":"online","epoch":1,"load":{"wait_ms":1.5,"service_ms":0.25},"heartbeat_s":5.0}',
    ],
    "topic": [
        b"recserve/v1/prompts/edge-1/classify/device-1",
        b"recserve/v1/prompts/cloud-1/classify/device-1/edge-1",
        b"recserve/v1/status/edge/edge-1",
        b"recserve/v1/prompts/+/tag/#",
    ],
    "ask": [
        b"the valve sticks",
        b'{"text":"the valve sticks","id":"7","task":"classify","timeout_s":2.5}',
    ],
    "flag": [b"tier.policy.beta=0.2", b"model.labels=[a, b]", b"tier={name: device}"],
}
