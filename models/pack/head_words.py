"""What a head brings, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.pack.head import FittedFusion
    from models.pack.head_gain import Figure, HeadGain


def describe(gain: HeadGain) -> str:
    """Say in two lines what a head does on held-out texts."""
    return (
        f"head: on {gain.texts:,} held-out texts, {gain.agreed:.1%} answered as the teacher does, "
        f"AUROC {spell(gain.before)} with the largest probability, {spell(gain.after)} with the "
        "head\nescalations it spares at the same agreement with the teacher: "
        f"{_spell_saved(gain.saved)}"
    )


def describe_fusion(fusion: FittedFusion | None) -> str:
    """Say in a few lines what fusing the model's answers with the expert's would bring."""
    if fusion is None:
        return "fused with the expert: it has nothing to add to the model's answers"
    gain = fusion.gain
    right = (
        f", and right on {gain.right:.1%} of the {gain.labelled:,} labelled, fused "
        f"{_spell_points(gain.right_more)} points"
        if gain.right_more is not None
        else ""
    )
    return (
        f"fused with the expert (weight {fusion.weight:.2f}): its own answers are the teacher's on "
        f"{gain.agreed:.1%}, fused {_spell_points(gain.more)} points{right}\n"
        "escalations that fused answers spare beside the model's own with their head: "
        f"{_spell_saved(gain.saved)}\n"
        "fused answers are "
        + ("better beyond chance: --answer fused packs them" if gain.helps else "no better")
    )


def spell(figure: Figure) -> str:
    """Give a figure with its interval."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _spell_points(figure: Figure) -> str:
    return f"{figure.value * 100:+.1f} [{figure.low * 100:+.1f}, {figure.high * 100:+.1f}]"


def _spell_saved(saved: Mapping[float, Figure]) -> str:
    return ", ".join(
        f"{measured.value:.0%} [{measured.low:.0%}, {measured.high:.0%}] of those at {rate}"
        for rate, measured in saved.items()
    )
