"""What was learned survives a restart, and what is no evidence any more is put aside and said."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog

from shared.agent.learned import LearnedFile
from shared.agent.settings import TierSettings
from shared.cascade.policies import Budget, Quality, Quantile
from tests.support.cascades import cascade
from tests.support.wires import MemoryWire, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from shared.cascade.policies import PolicySettings

MANY = 40


def tier(policy: PolicySettings) -> TierSettings:
    return TierSettings(name="device", policy=policy, upstream="edge")


async def live(folder: Path, *, policy: PolicySettings, prompts: int = 0) -> float:
    """One life of a device, which ends well; return the threshold that its last prompt met."""
    async with cascade(MemoryWire()) as tiers:
        device = await tiers.device(state=str(folder), tier=tier(policy), knows_above=False)
        for number in range(prompts):
            await device.ask(f"prompt {number}", timeout_s=5)
        return (await device.ask("easy")).hops[0].threshold


def file_of(folder: Path) -> Path:
    return folder / "device-1.learned"


async def test_a_restart_goes_on_with_the_window(tmp_path: Path) -> None:
    policy = Quantile(beta=0.0)  # keeps everything, and its threshold is the least confidence

    before = await live(tmp_path, policy=policy, prompts=MANY)
    after = await live(tmp_path, policy=policy)

    assert (before, after) == (0.5, 0.5), "alone it would be 1.0, as of a sure prompt"
    assert await live(tmp_path / "elsewhere", policy=policy) == 1.0


async def test_other_settings_are_written_at_once_with_what_was_seen(tmp_path: Path) -> None:
    async with cascade(MemoryWire()) as tiers:
        device = await tiers.device(
            state=str(tmp_path), tier=tier(Quantile(beta=0.4)), knows_above=False
        )
        for number in range(MANY):
            await device.ask(f"prompt {number}", timeout_s=5)
        device.parts.station.go_by(Quantile(beta=0.0))
        await eventually(file_of(tmp_path).is_file, "long before it is its turn")
        killed = tmp_path / "killed"
        killed.mkdir()
        shutil.copy(file_of(tmp_path), killed)

    assert await live(killed, policy=Quantile(beta=0.0)) == 0.5


async def test_nothing_is_written_while_no_prompt_comes(tmp_path: Path) -> None:
    """A budget's memory holds ages: it would be another one at every look."""
    policy = Budget(budget_bytes=1e6, period_s=60.0)
    async with cascade(MemoryWire()) as tiers:
        device = await tiers.device(state=str(tmp_path), tier=tier(policy), knows_above=False)
        file = LearnedFile(tmp_path / "again", device.parts)
        await file.save()
        idle = (tmp_path / "again").exists()
        await device.ask("easy")
        await file.save()
        first = (tmp_path / "again").read_bytes()
        await file.save()

        assert not idle
        assert (tmp_path / "again").read_bytes() == first


async def test_an_upper_agent_remembers_as_a_device_does(tmp_path: Path) -> None:
    for life in (1, 2):
        async with cascade(MemoryWire()) as tiers:
            await tiers.edge(state=str(tmp_path))
            window = tiers.parts["edge-1"].station.tier.remember(0.0)["classify"]
            assert len(window.arrivals) == life  # one each life, by the fixture

    assert (tmp_path / "edge-1.learned").is_file()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content[:-1], "the file is damaged"),
        (lambda content: content[:10] + b"\xff" + content[11:], "the file is damaged"),
        (lambda content: b"", "the file is damaged"),
    ],
)
async def test_a_damaged_file_is_put_aside_and_said(
    tmp_path: Path, change: object, says: str
) -> None:
    await live(tmp_path, policy=Quantile(beta=0.0), prompts=MANY)
    file = file_of(tmp_path)
    file.write_bytes(change(file.read_bytes()))  # type: ignore[operator]

    with structlog.testing.capture_logs() as logged:
        threshold = await live(tmp_path, policy=Quantile(beta=0.0))

    assert threshold == 1.0
    assert [line["reason"] for line in logged if "put aside" in line["event"]] == [says]
    assert file.with_name("device-1.learned.aside").is_file()
    assert file.is_file(), "written anew at the end"


async def test_what_was_learned_under_another_policy_is_put_aside(tmp_path: Path) -> None:
    await live(tmp_path, policy=Quantile(beta=0.0), prompts=MANY)

    with structlog.testing.capture_logs() as logged:
        await live(tmp_path, policy=Quality(tolerance=0.2))

    (line,) = [line for line in logged if "put aside" in line["event"]]
    assert line["reason"] == "it was learned under another policy, or other settings of it"


async def test_what_was_learned_of_another_model_is_put_aside(tmp_path: Path) -> None:
    policy = Quantile(beta=0.0)
    await live(tmp_path, policy=policy, prompts=MANY)
    file = file_of(tmp_path)
    content = file.read_bytes()
    renamed = content[32:].replace(b"device-1", b"device-2", 1)
    import hashlib  # noqa: PLC0415 - here alone

    file.write_bytes(hashlib.sha256(renamed).digest() + renamed)

    with structlog.testing.capture_logs() as logged:
        assert await live(tmp_path, policy=policy) == 1.0

    (line,) = [line for line in logged if "put aside" in line["event"]]
    assert line["reason"].startswith("it was learned of another model, device-2")


async def test_a_folder_that_cannot_be_written_costs_a_line_and_no_prompt(tmp_path: Path) -> None:
    (tmp_path / ".device-1.learned.new").mkdir()  # in the way of the file beside

    with structlog.testing.capture_logs() as logged:
        await live(tmp_path, policy=Quantile(beta=0.0), prompts=3)

    assert [line["event"] for line in logged if "learned" in line["event"]] == [
        "what is learned cannot be written"
    ]


def test_the_file_holds_no_text_of_a_prompt() -> None:
    from shared.agent import learned  # noqa: PLC0415 - its private struct

    assert {field.name for field in msgspec.structs.fields(learned._Learned)} == {
        "form",
        "model",
        "bundle",
        "policy",
        "wall_s",
        "tasks",
    }
