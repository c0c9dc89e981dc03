"""A cloud agent: one station with nothing above it, and perhaps the centre of the fleet."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from shared.agent.run import serve
from shared.errors import RuntimeUnavailable, SettingsError
from shared.storage.state_dir import state_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloud_agent.settings import CloudCenter, CloudSettings
    from shared.agent.reload import Reread
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
        await serve(settings, reread)


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
