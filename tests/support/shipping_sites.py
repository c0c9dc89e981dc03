"""Sites that bundles are shipped in: a real centre, and real agents that keep what they get."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloud_agent.center.app import Center
from cloud_agent.center.settings import CenterPart, WebSettings
from cloud_agent.center.web.server import page
from shared.agent.run import serving
from shared.bus.mqtt.settings import MqttSettings
from shared.nodes.publish import describe, put_files, sign
from shared.nodes.settings import NodeSettings
from shared.runtimes import ModelSettings
from tests.support.cascades import cloud_settings
from tests.support.shipped import SIGNER, SITE
from tests.support.tiny_models import write_bundle
from tests.support.wires import Wire, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.agent.build import AgentParts
    from shared.agent.settings import AgentSettings
    from shared.wire.control import NodeState
    from shared.wire.manifest import ShippedBundle


@dataclass
class ShippingSite:
    """A centre, and folders for what agents keep."""

    center: Center
    wire: Wire
    folder: Path
    url: str

    def bundle(self, name: str, **more: Any) -> Path:
        return write_bundle(self.folder / "made" / name, name=name, **more).folder

    async def catalogue(self, folder: Path, **more: Any) -> ShippedBundle:
        """Bring a bundle to the centre as push does."""
        bundle = await asyncio.to_thread(describe, folder, site=SITE, **more)
        await asyncio.to_thread(put_files, bundle, folder, self.center.shipping.store)
        return await self.center.shipping.take(sign(bundle, SIGNER))

    def settings(self, name: str, **node: Any) -> AgentSettings:
        """Return the settings of an agent that takes this site's bundles."""
        key = self.folder / "models.pub"
        key.write_bytes(SIGNER.public)
        own = self.folder / "made" / "own"
        return cloud_settings(
            self.wire,
            name,
            model=ModelSettings(source=str(own if own.exists() else self.bundle("own"))),
            state=str(self.folder / name),
            node=NodeSettings(authority=str(key), site=SITE, reserve_megabytes=0, **node),
        )

    @contextlib.asynccontextmanager
    async def agent(self, name: str = "cloud-1", **node: Any) -> AsyncIterator[AgentParts]:
        settings = self.settings(name, **node)
        async with serving(settings, connect=self.wire.connect) as parts:
            await eventually(lambda: self.center.registry.find(name) is not None)
            yield parts

    def state(self, name: str = "cloud-1") -> NodeState:
        member = self.center.registry.find(name)
        assert member is not None
        assert member.state is not None
        return member.state

    async def reaches(self, phase: str, name: str = "cloud-1", *, digest: str = "") -> None:
        def does() -> bool:
            member = self.center.registry.find(name)
            state = member.state if member else None
            return state is not None and (state.phase, state.wanted) == (phase, digest)

        member = self.center.registry.find(name)
        await eventually(does, f"{phase}, where it is {member.state if member else None}")

    def held(self, name: str = "cloud-1") -> set[str]:
        """Return the digests that an agent says it has on its disk."""
        member = self.center.registry.find(name)
        assert member is not None
        assert member.report is not None
        return {bundle.digest for bundle in member.report.bundles}


@contextlib.asynccontextmanager
async def opened_site(wire: Wire, folder: Path, **more: Any) -> AsyncIterator[ShippingSite]:
    (folder / "center.pub").write_bytes(SIGNER.public)
    part = CenterPart(
        state=str(folder / "center"),
        site=SITE,
        authority=str(folder / "center.pub"),
        web=WebSettings(port=0),
        telemetry_s=0.1,
        **more,
    )
    mqtt = MqttSettings(root=wire.root)
    async with Center.open(part, mqtt, wire.bus) as center, page(center) as url:
        yield ShippingSite(center, wire, folder, url)
