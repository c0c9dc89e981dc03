"""Prompts that kill, panic or do not fit, two devices under one id, and wrong clocks."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chaos.allowed import Allowed
from chaos.letters import read_letters
from chaos.noise import prompt_of
from chaos.plan import Plan, lines_of
from chaos.scenarios.processes import FIRST_BACK, killed
from chaos.trial import ChaosScenario, Trial
from device_agent.api.schema import Ask
from shared.bus.mqtt.bus import MqttBus
from shared.errors import Quarantined

if TYPE_CHECKING:
    from typing import Any

POISON = "the word that kills"
PANIC = "the word that panics"
_POISON_S = 40.0
_ATTEMPTS = 3
_PACKET_BYTES = 20_000
_LARGE = 5
_LOOKS = 100
_GOOD = "a wonderful, perfect, lovely film, great"
_BAD = "the worst, a dreadful and boring waste"
_SHARED_IDS = 10


async def _poisoned(trial: Trial) -> None:
    await trial.wait(0.1)
    for number in (1, 2):
        trial.asker.ask(f"{POISON} {number}", timeout_s=_POISON_S)
    await trial.wait(0.9)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    above = trial.site.plan.above()
    letters = await asyncio.to_thread(read_letters, trial.site.folder, above)
    deaths = sum(trial.site.deaths[agent] for agent in above)
    if not {f"{POISON} 1", f"{POISON} 2"} <= {str(letter["text"]) for letter in letters}:
        trial.faults.append(f"{len(letters)} dead letters: the two poison prompts are not there")
    if deaths > 2 * _ATTEMPTS * len(above):
        trial.faults.append(f"{deaths} deaths of two poison prompts, over {len(above)} agents")


async def _poisoned_below(trial: Trial) -> None:
    """Ask a device what kills it, again and again, as a careful asker does."""
    await trial.wait(0.1)
    trial.asker.ask(POISON, timeout_s=_POISON_S)
    await trial.wait(0.9)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    deaths = trial.site.deaths["device-1"]
    if not 0 < deaths <= _ATTEMPTS:
        trial.faults.append(f"{deaths} deaths of one poison prompt at the device")


async def _panics(trial: Trial) -> None:
    await trial.wait(0.2)
    for number in (1, 2):
        trial.asker.ask(f"{PANIC} {number}", timeout_s=trial.timeout_s)
    await trial.wait(0.2)
    trial.heal()
    await trial.wait(0.6)
    if "PanicException" not in trial.site.logs():
        trial.faults.append("no engine panicked: nothing was tried")


async def _large_lines(trial: Trial) -> None:
    """Let a file of prompts, too large for the broker, come in among small questions."""
    trial.heal()
    source = lines_of(trial.site.folder / "state", "device-1")
    path, answers = Path(source["path"]), Path(source["answers"])
    for number in range(_LARGE):
        await trial.wait(0.15)
        _add_line(path, f"{number} " + "valve " * (_PACKET_BYTES // 4))
    told: list[dict[str, Any]] = []
    for _ in range(_LOOKS):
        if len(told := _read_lines(answers)) == _LARGE:
            break
        await asyncio.sleep(0.2)
    reasons = {str(answer.get("degraded")) for answer in told}
    if len(told) != _LARGE or not all("limit" in reason for reason in reasons):
        trial.faults.append(f"{len(told)} of {_LARGE} large prompts answered, with {reasons}")
    if "broker lost" in trial.site.logs():
        trial.faults.append("a large prompt cost somebody the connection")


def _add_line(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


async def _one_id(trial: Trial) -> None:
    """Let a second device send, first and with a text of its own, what has the id of another's."""
    trial.heal()
    bus = MqttBus(trial.site.mqtt(), "chaos-hostile")
    await bus.start()
    await bus.wait_connected(10)
    asked = []
    for _ in range(_SHARED_IDS):
        await trial.wait(0.08)
        question_id = trial.asker.next_id
        prompt_id = Ask(_GOOD, question_id).prompt_id("device-1")
        forged = prompt_of("device-2", "edge-1", _BAD, prompt_id)
        await bus.publish(forged.topic, forged.payload)
        asked.append(trial.asker.ask(_GOOD, timeout_s=8, device="device-1"))
    await trial.asker.until_answered(_POISON_S)
    await bus.close()
    labels = {trial.ledger.said(question_id) for question_id in asked}
    if labels != {"positive"}:
        trial.faults.append(f"a device got the answer to another's text: {labels}")


async def _wrong_clock(trial: Trial) -> None:
    await trial.wait(0.4)
    trial.site.signal("edge-1", signal.SIGUSR1)
    trial.site.signal("device-1", signal.SIGUSR1)
    trial.heal()


async def _outbox_full(trial: Trial) -> None:
    above = trial.site.plan.above()
    await trial.wait(0.1)
    trial.site.freeze(*above)
    await trial.wait(0.6)
    trial.site.thaw(*above)
    trial.heal()
    await trial.asker.until_answered(_POISON_S)
    if "room for prompts is full" not in trial.site.logs():
        trial.faults.append("the outbox was never full: nothing was tried")


_POISONED: dict[str, tuple[str, ...]] = dict.fromkeys(("edge-1", "cloud-1"), ("--poison", POISON))
_PANICKY: dict[str, tuple[str, ...]] = dict.fromkeys(("edge-1", "cloud-1"), ("--panic", PANIC))
_CLOCKS: dict[str, tuple[str, ...]] = {
    "edge-1": ("--clock-s", "3600"),
    "device-1": ("--clock-s", "-3600"),
}
_ALL_UP = {"tier": {"policy": {"kind": "pass"}}}

SCENARIOS = (
    ChaosScenario(
        "poison",
        "two prompts kill every agent above that reads them",
        _poisoned,
        Allowed(
            "those two; and while the cloud agent starts again, at most six times, the edge "
            "answers what it would send on: 30 % of six times a second and a half",
            share=0.15,
            prompts=2,
        ),
        Plan(edges=1, trouble=_POISONED, settings={"device": _ALL_UP}),
        rate_s=30,
        seconds=16,
    ),
    ChaosScenario(
        "poison-device",
        "one question kills the device that reads it, and is asked again and again",
        _poisoned_below,
        Allowed(
            "those above are well; the question itself ends as an error", errors=(Quarantined.code,)
        ),
        Plan(devices=1, trouble={"device-1": ("--poison", POISON)}),
        rate_s=30,
        seconds=16,
    ),
    ChaosScenario(
        "panic",
        "the engine of every agent above panics at two prompts: no exception, and no crash",
        _panics,
        Allowed("those two, which nobody above can read", prompts=2),
        Plan(edges=1, trouble=_PANICKY, settings={"device": _ALL_UP}),
        rate_s=20,
        seconds=10,
        timeout_s=20,
    ),
    ChaosScenario(
        "packet-limit",
        "a broker that carries 20 kB, and five prompts of 30 kB from a file among small ones",
        _large_lines,
        Allowed("what fits is carried; the five large ones, not counted here, are answered below"),
        Plan(packet_bytes=_PACKET_BYTES, lines=True),
        rate_s=60,
        seconds=8,
    ),
    ChaosScenario(
        "relay",
        "a cloud behind a broker of its own, and prompts of two devices under one id",
        _one_id,
        Allowed("what an edge agent sends on has ids of its own"),
        Plan(edges=1, upper=True, settings={"device": _ALL_UP, "edge": _ALL_UP}),
        rate_s=20,
    ),
    ChaosScenario(
        "outbox-full",
        "an outbox of 1 MB, prompts of 8 kB, nobody above answers",
        _outbox_full,
        Allowed(
            "nobody above is well for longer than a prompt has: 30 % of three fifths of the time",
            share=0.2,
        ),
        Plan(settings={"device": {"outbox": {"megabytes": 1}}}),
        pad_bytes=8_000,
    ),
    ChaosScenario(
        "crowd",
        "the broker is killed under 300 devices, twice: they all come back at once",
        killed("broker"),
        Allowed(FIRST_BACK, share=0.01),
        Plan(devices=300, crowd=True, settings={"device": {"heartbeat_s": 5.0}}),
        rate_s=45,
        loses_answers=True,
    ),
    ChaosScenario(
        "wrong-clock",
        "two clocks are an hour off, then the other way",
        _wrong_clock,
        Allowed("only time left travels"),
        Plan(trouble=_CLOCKS),
    ),
)
