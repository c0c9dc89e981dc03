"""A cloud agent: one station with nothing above it, and perhaps a centre, or a trainer of edges."""

from __future__ import annotations

import contextlib
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.agent.run import serve, serving
from shared.errors import RuntimeUnavailable, SettingsError
from shared.storage.state_dir import state_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloud_agent.settings import CloudCenter, CloudSettings
    from cloud_agent.training.settings import TrainerSettings
    from shared.agent.build import AgentParts
    from shared.agent.reload import Reread
    from shared.agent.settings import AgentSettings
    from shared.bus.mqtt.settings import MqttSettings


async def run(settings: CloudSettings, reread: Reread) -> None:
    """Serve until the process is asked to stop; the settings are ``reread`` on SIGHUP."""
    if settings.tier.upstream is not None:
        raise SettingsError(
            f"tier.upstream is {settings.tier.upstream!r}: a cloud agent has none above it"
        )
    async with contextlib.AsyncExitStack() as besides:
        if settings.center is not None:
            part = settings.center
            await besides.enter_async_context(_centre(part, part.mqtt or settings.mqtt))
        if settings.trainer is None:
            await serve(settings, reread)
        else:
            running = partial(training, trainer=settings.trainer)
            await serve(settings, reread, running=running)


@contextlib.asynccontextmanager
async def training(
    settings: AgentSettings, *, trainer: TrainerSettings, **more: Any
) -> AsyncIterator[AgentParts]:
    """Serve as ``serving`` does, and train the models of edges besides.

    Raises ``RuntimeUnavailable`` where nothing can be trained, ``BundleError`` for a base that is
    none.
    """
    from cloud_agent.training.teacher import Teacher  # noqa: PLC0415 - only where it is wanted

    if find_spec("peft") is None:
        raise RuntimeUnavailable(
            "peft is not installed, and a trainer needs it; in the folder of this project: "
            'pip install -e ".[learn]"'
        )
    folder = Path(trainer.folder) if trainer.folder else Path(settings.state) / "lessons"
    async with serving(settings, **more) as parts:
        teacher = Teacher(
            trainer,
            folder,
            parts.bus,
            parts.topics,
            settings.agent,
            busy=lambda: parts.batcher.waiting > 0,
        )
        async with teacher.teaching():
            yield parts


@contextlib.asynccontextmanager
async def _centre(part: CloudCenter, mqtt: MqttSettings) -> AsyncIterator[None]:
    """Run a centre with its page beside the agent."""
    try:
        from cloud_agent.center.app import Center  # noqa: PLC0415 - optional
        from cloud_agent.center.web.server import page  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"{error.name} is not installed, and a centre needs it; in the folder of this "
            'project: pip install -e ".[center]"'
        ) from error
    with state_folder(part.state, part.name):
        async with Center.open(part, mqtt) as center, page(center):
            yield
