"""A task that an agent cannot do without does not end unseen, whatever ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared import supervision
from shared.supervision import Supervised, logged_if_broken
from tests.support.wires import eventually

if TYPE_CHECKING:
    from collections.abc import Callable


class Panic(BaseException):
    """What some engines raise."""


async def forever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("broken")


async def end() -> None:
    return


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "PAUSE_S", 0.01)


@pytest.mark.parametrize("work", [fail, end], ids=["raises", "returns"])
async def test_what_ends_by_itself_begins_anew_and_the_log_says_so(
    work: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []

    async def run() -> None:
        runs.append(1)
        await work()  # type: ignore[misc]

    supervised = Supervised("the clock", run)
    await eventually(lambda: len(runs) >= 3)
    await supervised.stop()
    assert "the clock" in capsys.readouterr().out


async def test_what_somebody_cancels_begins_anew() -> None:
    supervised = Supervised("work", forever)
    first = supervised.task
    first.cancel()
    await eventually(lambda: supervised.task is not first)
    assert not supervised.task.done()
    await supervised.stop()


async def test_what_is_stopped_stays_so() -> None:
    supervised = Supervised("work", fail)
    await eventually(supervised.task.done)
    await supervised.stop()
    last = supervised.task
    await asyncio.sleep(0.05)
    assert supervised.task is last


def test_what_breaks_is_logged_with_its_place_and_gone_on_behind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for step in ("first", "second"):
        with logged_if_broken("a step of the test", step=step):
            raise ValueError("broken")

    said = capsys.readouterr().out
    assert "step=first what='a step of the test'" in said
    assert "step=second what='a step of the test'" in said
    assert "ValueError: broken" in said


def test_what_is_no_fault_of_the_step_goes_through() -> None:
    for raised in (Panic, asyncio.CancelledError):
        with pytest.raises(raised), logged_if_broken("a step of the test"):
            raise raised
