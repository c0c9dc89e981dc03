"""Which model serves: the settings' own, or one that a night made of it; and what is ordered next.

``believed.json`` counts only for the model that it was built on: another one in the settings ends
it, and its nights begin anew on that.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_agent.memory.store import FILE
from edge_agent.nights.folder import Believed, NightFolder, NightOrder, NightOutcome
from shared.errors import RecServeError, SettingsError
from shared.runtimes import digest_of
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from edge_agent.memory.settings import MemorySettings
    from edge_agent.nights.settings import NightSettings
    from shared.runtimes import ModelSettings

_log = get_logger()


def nights_of(memory: MemorySettings, state: str) -> NightFolder:
    """Return the folder of an agent's nights, beside its memory. Raises ``SettingsError``."""
    place = memory.folder or state
    if not place:
        raise SettingsError(
            "memory.night needs a folder that outlives the process: name one in state"
        )
    return NightFolder(Path(place))


def believed_model(nights: NightFolder, own: ModelSettings) -> ModelSettings:
    """Return the model that is to serve; the settings' ``own`` where a night's cannot.

    Raises ``BundleError`` when not even the settings' own can be read.
    """
    believed = believed_now(nights, digest_of(own))
    if believed is None:
        return own
    taught = with_night(nights, own, believed.night)
    try:
        digest_of(taught)
    except RecServeError as error:
        _log.warning("a night's model cannot be served", night=believed.night, reason=str(error))
        return own
    return taught


def believed_now(nights: NightFolder, own: str) -> Believed | None:
    """Return the night that is believed, if it was built on the model of the digest ``own``."""
    believed = nights.believed
    if believed is None or not believed.night or believed.own != own:
        return None
    return believed


def with_night(nights: NightFolder, own: ModelSettings, number: int) -> ModelSettings:
    """Return the settings of a night's model; 0 is the settings' own."""
    if not number:
        return own
    return msgspec.structs.replace(own, source=str(nights.bundle(number)))


def open_order(nights: NightFolder, own: str) -> NightOrder | None:
    """Return the night that is to go on, if one is.

    One that was to build on another model than that of the digest ``own`` ends here. Raises
    ``StoreError``.
    """
    number = nights.unfinished
    if number is None:
        return None
    order = nights.order(number)
    if order.own == own:
        return order
    why = "model.source names another model than when it was ordered"
    nights.write_outcome(NightOutcome(number=number, verdict="failed", why=why))
    return None


def order_next(nights: NightFolder, settings: NightSettings, own: ModelSettings) -> NightOrder:
    """Order the next night, on what is believed now. Raises ``BundleError``."""
    digest = digest_of(own)
    believed = believed_now(nights, digest)
    warm = believed.night if believed else 0
    numbers = nights.numbers
    order = NightOrder(
        number=numbers[-1] + 1 if numbers else 1,
        day=f"{datetime.now().astimezone():%Y-%m-%d}",
        ordered_s=time.time(),
        memory=str(nights.path.parent / FILE),
        model=with_night(nights, own, warm),
        own=digest,
        warm=warm,
        night=settings,
    )
    nights.write_order(order)
    return order
