"""Disks that are full, small, or stand still, and logs that cannot be written."""

from __future__ import annotations

import asyncio

from chaos import disks
from chaos.allowed import Allowed
from chaos.disks import Disk
from chaos.plan import Plan
from chaos.trial import ChaosScenario, Trial, nothing

_STILL_S = 6.0


async def _full(trial: Trial) -> None:
    """Fill the disk before anything was stored: later a file has room of its own to use again."""
    disks.fill(trial.site.disk)
    await trial.wait(0.4)
    disks.clear(trial.site.disk)
    trial.heal()
    if "disk" not in trial.site.logs():
        trial.faults.append("no log tells of the disk: nothing was tried")


async def _still(trial: Trial) -> None:
    await trial.wait(0.2)
    await asyncio.to_thread(disks.freeze, trial.site.disk)
    await asyncio.sleep(_STILL_S)
    await asyncio.to_thread(disks.thaw, trial.site.disk)
    trial.heal()


_ALL_UP = {"tier": {"policy": {"kind": "pass"}}}
_TALKATIVE = {"log": {"level": "info"}}

SCENARIOS = (
    ChaosScenario(
        "disk-full-device",
        "the disk of the devices is full to the last byte for a while",
        _full,
        Allowed(
            "what is to go up meanwhile may find no room: 30 % of two fifths of the time, or "
            "somewhat more",
            share=0.14,
        ),
        Plan(disk=Disk("device")),
        seconds=12,
    ),
    ChaosScenario(
        "disk-full-edge",
        "the disk of the edge agents is full to the last byte for a while",
        _full,
        Allowed("results are kept in memory meanwhile"),
        Plan(disk=Disk("edge")),
        seconds=12,
    ),
    ChaosScenario(
        "disk-small",
        "the disk of the devices has 256 kB, less than a write-ahead log; every prompt goes up",
        nothing,
        Allowed("a log that does not fit is folded before it fills the disk"),
        Plan(disk=Disk("device", kilobytes=256), settings={"device": _ALL_UP}),
        rate_s=40,
    ),
    ChaosScenario(
        "disk-still-device",
        "the disk of the devices stands still for 6 s: no error, no answer",
        _still,
        Allowed(
            "what is to go up meanwhile cannot be stored: 30 % of 6 of 14 s, less what waits for "
            "the disk",
            share=0.13,
        ),
        Plan(disk=Disk("device", freezes=True)),
    ),
    ChaosScenario(
        "disk-still-edge",
        "the disk of the edge agents stands still for 6 s",
        _still,
        Allowed("an upper agent does not wait for its disk longer than a second"),
        Plan(disk=Disk("edge", freezes=True)),
    ),
    ChaosScenario(
        "log-unwritable",
        "nobody reads a device's log any more, and an edge agent's is on a full disk",
        nothing,
        Allowed("what is logged decides nothing"),
        Plan(
            logs={"device-1": "no reader", "edge-1": "full"},
            settings={"device": _TALKATIVE, "edge": _TALKATIVE},
        ),
        seconds=8,
    ),
)
