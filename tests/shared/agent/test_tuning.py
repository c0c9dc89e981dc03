"""What a centre changes of an agent's policy is held to the agent's own settings and model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_agent.memory.settings import MemorySettings
from edge_agent.nights.settings import NightSettings
from edge_agent.settings import EdgeSettings
from shared.agent.build import build_agent
from shared.agent.settings import TierSettings
from shared.agent.tuning import with_changes
from shared.cascade.policies import Fixed, Observation, Quantile, Skip
from shared.errors import SettingsError
from shared.nodes.settings import NodeSettings
from shared.nodes.store import BundleStore, StoreNote
from tests.support.cascades import MODEL, cloud_settings, edge_settings
from tests.support.fakes import LookupModel
from tests.support.shipped import SIGNER
from tests.support.wires import MemoryWire

if TYPE_CHECKING:
    from pathlib import Path

OWN = edge_settings(
    MemoryWire(),
    tier=TierSettings(name="edge", policy=Quantile(beta=0.3, ties="draw"), upstream="cloud"),
)


def test_what_is_not_named_is_the_agents_own() -> None:
    changed = with_changes(OWN, {"tier.policy.beta": "0.4"})

    assert changed.tier.policy == Quantile(beta=0.4, ties="draw")
    assert msgspec.structs.replace(changed, tier=OWN.tier) == OWN
    assert with_changes(OWN, {}) == OWN


def test_of_another_kind_of_policy_nothing_stays() -> None:
    kind = {"tier.policy.kind": "fixed", "tier.policy.threshold": "0.8"}
    assert with_changes(OWN, kind).tier.policy == Fixed(threshold=0.8)
    skip = {"tier.policy.kind": "skip", "tier.policy.costs": "[1, 4]"}
    assert with_changes(OWN, skip).tier.policy == Skip(costs=(1.0, 4.0))
    same = {"tier.policy.kind": "quantile", "tier.policy.beta": "0.1"}
    assert with_changes(OWN, same).tier.policy == Quantile(beta=0.1, ties="draw")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tier.policy.beta": "4"}, r"^the centre wants tier\.policy\.beta=4: .*<= 1"),
        ({"tier.policy.beta": "a lot"}, r"tier\.policy\.beta=a lot: .*float"),
        ({"tier.policy.betta": "0.4"}, r"tier\.policy\.betta.*beta"),
        ({"tier.policy.kind": "fixed"}, r"^the centre wants .*kind=fixed: .*threshold"),
        ({"tier.policy.kind": "magic"}, r"magic"),
        ({"tier.policy.beta.deeper": "1"}, r"beta"),
        ({"tier.upstream": "attic"}, r"^tier\.upstream is not the centre's to change"),
        ({"mqtt.host": "evil.example"}, r"^mqtt\.host is not the centre's to change"),
        ({"tier.policyx": "1"}, r"^tier\.policyx is not the centre's to change"),
    ],
)
def test_what_cannot_be_is_one_sentence_that_names_it(changes: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as raised:
        with_changes(OWN, changes)
    assert "\n" not in str(raised.value)


def test_settings_of_an_edge_are_held_to_what_an_edge_holds_them_to() -> None:
    night = MemorySettings(embedder="./x", folder="./y", night=NightSettings(base="./b"))
    own = EdgeSettings(agent="e", tier=OWN.tier, model=MODEL, memory=night)

    with pytest.raises(SettingsError, match=r"tier\.policy\.learn .* remove it, or memory\.night"):
        with_changes(own, {"tier.policy.learn": "yes"})


def agent(folder: Path, changes: dict[str, str], **more: Any) -> Any:
    """An agent whose last life had these from the centre."""
    key = folder / "models.pub"
    key.write_bytes(SIGNER.public)
    (folder / "models").mkdir(exist_ok=True)
    BundleStore(folder / "models").update_note(lambda _: StoreNote(settings=changes))
    wire = MemoryWire()
    settings = cloud_settings(
        wire, state=str(folder), node=NodeSettings(authority=str(key)), **more
    )
    return build_agent(settings, model=LookupModel(), connect=wire.connect)


def test_an_agent_begins_with_what_an_earlier_life_had_of_the_centre(tmp_path: Path) -> None:
    parts = agent(tmp_path, {"tier.policy.beta": "0.4"})

    assert parts.station.tier.policy == Quantile(beta=0.4)


def test_what_does_not_fit_any_more_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = TierSettings(name="cloud", policy=Fixed(threshold=0.5))
    parts = agent(tmp_path, {"tier.policy.beta": "0.4"}, tier=own)

    assert parts.station.tier.policy == Fixed(threshold=0.5)
    assert "tier.policy.beta" in "".join(capsys.readouterr())


def test_figures_of_a_policy_of_another_kind_go_with_it(tmp_path: Path) -> None:
    station = agent(tmp_path, {}).station
    station.tier.route("classify", Observation(0.5, 0.0, 4))
    figures = station.metrics.policy
    figures.labels("cloud", "classify", "beta_ratio").set(1.0)

    station.go_by(Fixed(threshold=0.5))

    shown = [s.labels["figure"] for family in figures.collect() for s in family.samples]
    assert "beta_ratio" not in shown

    station.go_by(Quantile(beta=0.3))
    figures.labels("cloud", "classify", "beta_ratio").set(0.3)
    shown = [s.labels["figure"] for family in figures.collect() for s in family.samples]
    assert "beta_ratio" in shown, "and come again"
