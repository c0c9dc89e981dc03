"""Which broker of a list to try next, and how long to wait before: pure but for its dice.

Everybody who has the same list ends at the same broker, the first in it that can be reached: each
search begins at the top, and who had to settle for a later one looks at those before it from time
to time (``MqttSettings.return_s``). What a broker is asked for, MQTT 5 or 3.1.1, is remembered for
each by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from shared.bus.mqtt.settings import MqttSettings
    from shared.settings.address import Address

_VERSIONS: Final = {"auto": 5, "5": 5, "3.1.1": 4}
_LASTING_S: Final = 5.0
_TRIAL_S: Final = 2.0


class BrokerFailover:
    """An ordered list of brokers, where in it we are, and the pauses between attempts."""

    def __init__(self, settings: MqttSettings, draw: random.Random) -> None:
        self._all = settings.brokers
        self._versions = dict.fromkeys(self._all, _VERSIONS[settings.protocol])
        self._settings = settings
        self._draw = draw
        self._at = 0
        self._longest_s = settings.reconnect_min_s

    @property
    def next(self) -> Address:
        """The broker to try now."""
        return self._all[self._at]

    def before(self, address: Address) -> Sequence[Address]:
        """Return the brokers that are preferred to one."""
        return self._all[: self._all.index(address)]

    def version(self, address: Address) -> int:
        """Return the MQTT version to ask a broker for: 5, or 4 for 3.1.1."""
        return self._versions[address]

    def handshake_s(self, address: Address) -> float:
        """Return how long to wait for an agreement: briefly while another version can be tried."""
        timeout_s = self._settings.connect_timeout_s
        trying = self._settings.protocol == "auto" and self._versions[address] == _VERSIONS["5"]
        return min(timeout_s, _TRIAL_S) if trying else timeout_s

    def swap_version(self, address: Address) -> bool:
        """Ask a broker for the other version from now on; return whether that one is untried."""
        if self._settings.protocol != "auto":
            return False
        five, three = _VERSIONS["5"], _VERSIONS["3.1.1"]
        self._versions[address] = three if self._versions[address] == five else five
        return self._versions[address] == three

    def failed(self) -> float:
        """Move on to the next broker; return how long to wait before it.

        The pauses within a round are short, those between rounds double; all are drawn anew, so
        that those who lost a broker together do not come back together.
        """
        self._at = (self._at + 1) % len(self._all)
        return self._pause_s() if self._at == 0 else self._short_s()

    def lost(self, lasted_s: float) -> float:
        """Begin at the top again after a connection ended; return how long to wait before.

        One that did not last counts as a failure, or two who throw each other out would spin.
        """
        self._at = 0
        if lasted_s < _LASTING_S:
            return self._pause_s()
        self._longest_s = self._settings.reconnect_min_s
        return 0.0

    def _short_s(self) -> float:
        return self._draw.uniform(0, self._settings.reconnect_min_s)

    def _pause_s(self) -> float:
        pause_s = self._draw.uniform(0, self._longest_s)
        self._longest_s = min(2 * self._longest_s, self._settings.reconnect_max_s)
        return pause_s
