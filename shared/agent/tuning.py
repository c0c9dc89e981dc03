"""The settings of an agent's policy as a centre changes them while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from shared.agent.fit import refuse_unfit
from shared.errors import SettingsError
from shared.nodes.changes import SettingChanges
from shared.nodes.node import kept_changes
from shared.settings.file import put_over
from shared.telemetry.log import get_logger
from shared.wire.control import CHANGEABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.agent.settings import AgentSettings
    from shared.runtimes import Model
    from shared.serving.slot import ModelSlot
    from shared.serving.station import Station

_log = get_logger()
_WHERE = "the centre wants"


def with_changes(own: AgentSettings, changes: Mapping[str, str]) -> AgentSettings:
    """Return an agent's own settings with a centre's changes over them.

    Where another kind of policy is named, nothing of the own one stays. Raises ``SettingsError``.
    """
    for key in changes:
        if not key.startswith(CHANGEABLE):
            raise SettingsError(
                f"{key} is not the centre's to change, which are those of {CHANGEABLE}* alone: "
                "change it in the agent's settings and start it again"
            )
    if not changes:
        return own
    tree: dict[str, Any] = msgspec.to_builtins(own)
    kind = changes.get(f"{CHANGEABLE}kind")
    if kind is not None and kind != tree["tier"]["policy"]["kind"]:
        tree["tier"]["policy"] = {}
    return put_over(type(own), tree, changes, _WHERE)


def with_kept_changes(
    own: AgentSettings, model: Model, *, remembers: bool
) -> tuple[AgentSettings, dict[str, str]]:
    """Return the settings to begin with, and the centre's changes in them from an earlier life.

    Changes that do not fit the agent's own settings any more are left out, and that is said.
    Raises ``SettingsError`` for own settings that do not fit the model.
    """
    refuse_unfit(own, model, remembers=remembers)
    changes = kept_changes(own.node, own.state)
    try:
        settings = with_changes(own, changes)
        refuse_unfit(settings, model, remembers=remembers)
    except SettingsError as error:
        _log.warning("changes of the centre left out", reason=str(error))
        return own, {}
    return settings, changes


def changes_of(
    own: AgentSettings,
    taken: Mapping[str, str],
    station: Station,
    slot: ModelSlot,
    *,
    remembers: bool,
) -> SettingChanges:
    """Return the hand by which a centre changes a running agent."""

    def take(changes: Mapping[str, str]) -> None:
        wanted = with_changes(own, changes)
        refuse_unfit(wanted, slot.model, remembers=remembers)
        station.go_by(wanted.tier.policy)

    def compare(on: bool) -> None:
        station.compares = on

    return SettingChanges(taken, take, compare)
