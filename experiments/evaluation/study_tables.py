"""A study's figures as tables for the terminal: the models alone, then the policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from experiments.evaluation.study import spell
from experiments.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks import Task

_TO: Final = "\u00a0…\u00a0"  # an interval is not broken


def tables(
    task: Task, name: str, cards: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]
) -> list[Grid]:
    """Return the tables of one set: its report cards and its runs."""
    cards = [card for card in cards if card["set"] == name]
    runs = [run for run in runs if run["set"] == name]
    if task == "generate":
        return [_text_cards(name, cards), _text_runs(name, runs)]
    return [_label_cards(name, cards), _label_runs(name, runs)]


def grouped(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Gather the runs of one policy at one point of its grid; they differ in their order only."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        keys = list(row)
        parameters = keys[keys.index("policy") + 1 : keys.index("seed")]
        label = " ".join([row["policy"], *(f"{key}={spell(row[key])}" for key in parameters)])
        groups.setdefault(label, []).append(row)
    return groups


def _label_cards(name: str, cards: Sequence[dict[str, Any]]) -> Grid:
    rows = [
        (
            card["tier"],
            f"{card['prompts']:,}",
            f"{card['accuracy']:.3f}",
            f"{card['accuracy_low']:.3f}{_TO}{card['accuracy_high']:.3f}",
            f"{card['auroc']:.3f}",
            f"{card['auroc_agreement']:.3f}" if "auroc_agreement" in card else "–",
            f"{card['compute_ms']:.2f}",
        )
        for card in cards
    ]
    columns = ("tier", "prompts", "accuracy", "95 % interval", "AUROC", "of the head", "ms")
    return Grid(f"{name}: the models alone", columns, rows)


def _label_runs(name: str, rows: Sequence[dict[str, Any]]) -> Grid:
    cells = [
        (
            label,
            f"{_mean(same, 'accuracy'):.3f}",
            f"{_mean(same, 'agreement'):.3f}",
            _shares(same),
            f"{_mean(same, 'hops'):.3f}",
            f"{_mean(same, 'weighted'):.2f}",
            f"{_mean(same, 'sent_bytes'):.0f}",
            f"{_mean(same, 'compute_ms'):.2f}",
        )
        for label, same in grouped(rows).items()
    ]
    columns = ("policy", "right", "agree", "% by tier", "hops", "weighted", "bytes", "ms")
    return Grid(_title(name, rows), columns, cells)


def _text_cards(name: str, cards: Sequence[dict[str, Any]]) -> Grid:
    rows = [
        (
            card["tier"],
            f"{card['prompts']:,}",
            f"{card['bleu']:.1f}",
            f"{card['bleu_low']:.1f}{_TO}{card['bleu_high']:.1f}",
            f"{card['chrf']:.1f}",
            f"{card['rank_correlation']:.2f}",
            f"{card['length_correlation']:.2f}",
            f"{card['tokens_s']:,.0f}",
        )
        for card in cards
    ]
    columns = (
        "tier",
        "prompts",
        "BLEU",
        "95 % interval",
        "chrF",
        "confidence~chrF",
        "confidence~tokens",
        "tokens/s",
    )
    return Grid(f"{name}: the models alone", columns, rows)


def _text_runs(name: str, rows: Sequence[dict[str, Any]]) -> Grid:
    cells = [
        (
            label,
            f"{_mean(same, 'bleu'):.1f}",
            *text_cells(same),
        )
        for label, same in grouped(rows).items()
    ]
    columns = (
        "policy",
        "BLEU",
        "chrF",
        "agree",
        "% by tier",
        "hops",
        "prompt bytes",
        "answer bytes",
        "bytes sent",
    )
    return Grid(_title(name, rows), columns, cells)


def text_cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the runs of one policy came to besides BLEU, in the mean over their orders.

    ChrF, agreement with the top, shares of the tiers, hops, and bytes of prompts, answers and all
    packets.
    """
    return [
        f"{_mean(rows, 'chrf'):.1f}",
        f"{_mean(rows, 'agreement'):.3f}",
        _shares(rows),
        f"{_mean(rows, 'hops'):.2f}",
        *(f"{_mean(rows, key):.0f}" for key in ("text_bytes", "answer_bytes", "sent_bytes")),
    ]


def _title(name: str, rows: Sequence[dict[str, Any]]) -> str:
    return f"{name}: the policies (answered by {', '.join(_tiers(rows))}; burden per prompt)"


def _shares(rows: Sequence[dict[str, Any]]) -> str:
    return "/".join(f"{_mean(rows, f'share_{tier}') * 100:.0f}" for tier in _tiers(rows))


def _tiers(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [key.removeprefix("share_") for key in rows[0] if key.startswith("share_")]


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float:
    return sum(float(row[key]) for row in rows) / len(rows)
