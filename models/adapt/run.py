"""The steps of an adaptation: drawn by their number alone, so that a killed one goes on exactly."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from models.adapt.base import AdaptedBase
from models.train.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from models.adapt.recipe import AdaptRecipe, AdaptRow, AdaptRows

_CHECKPOINT: Final = "checkpoint.pt"
_RECENT: Final = 50
_WORSE: Final = 2.0
"""A loss so many times that of the first steps will not come back."""


class Adapted(NamedTuple):
    """A finished adaptation: the adapter, the model with it put in, and the loss at each step."""

    adapter: Path
    tuned: Path
    losses: list[float]


def adapt(
    source: str,
    rows: AdaptRows,
    recipe: AdaptRecipe,
    folder: Path,
    *,
    warm: Path | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Adapted:
    """Train in ``folder``, going on from the checkpoint that lies there, if one does.

    ``warm`` is the folder of an adapter to begin with; ``told`` hears after each step how many are
    made. Raises ``TrainingError`` when the loss runs away, ``BundleError`` when the base cannot be
    read, ``RuntimeUnavailable`` when a library is missing.
    """
    torch.set_num_threads(recipe.threads)
    base = AdaptedBase(source, rows.task, recipe, warm)
    optimizer = torch.optim.AdamW(base.trainable, lr=recipe.learning_rate, weight_decay=0.01)
    losses = _resumed(folder / _CHECKPOINT, base, optimizer)
    new = _Deck(rows.new, recipe.new_rows, f"new {recipe.seed}")
    old = _Deck(rows.old, recipe.old_rows, f"old {recipe.seed}")
    shown = _Deck(rows.shown, recipe.shown_rows, f"shown {recipe.seed}")
    base.network.train()
    while (step := len(losses)) < recipe.steps:
        batches = [*new.at(step), *old.at(step)], shown.at(step)  # apart: these are twice as long
        losses.append(_step(base, optimizer, batches, recipe, step))
        _refuse_divergence(losses)
        told(len(losses))
        if len(losses) % recipe.checkpoint_steps == 0:
            _keep(folder / _CHECKPOINT, base, optimizer, losses)
    base.network.eval()
    adapter, tuned = folder / "adapter", folder / "tuned"
    base.save(adapter, tuned)
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return Adapted(adapter, tuned, losses)


class _Deck:
    """Rows in an order that follows from a seed alone: each once before any comes twice."""

    def __init__(self, rows: Sequence[AdaptRow], count: int, seed: str) -> None:
        self._rows = rows
        self._count = count if rows else 0
        self._seed = seed
        self._round = -1
        self._order: list[int] = []

    def at(self, step: int) -> list[AdaptRow]:
        """Return the rows of one step."""
        places = range(step * self._count, (step + 1) * self._count)
        return [self._rows[self._index(place)] for place in places]

    def _index(self, place: int) -> int:
        which, index = divmod(place, len(self._rows))
        if which != self._round:
            self._round, self._order = which, list(range(len(self._rows)))
            random.Random(f"{self._seed} {which}").shuffle(self._order)  # noqa: S311 - an order
        return self._order[index]


def _step(
    base: AdaptedBase,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Sequence[AdaptRow]],
    recipe: AdaptRecipe,
    step: int,
) -> float:
    """Make one step on the rows of all batches; return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * _share_of_rate(recipe, step)
    optimizer.zero_grad()
    filled = [rows for rows in batches if rows]
    count, mean = sum(map(len, filled)), 0.0
    for rows in filled:
        loss = base.loss(rows) * (len(rows) / count)
        loss.backward()
        mean += float(loss.detach())
    torch.nn.utils.clip_grad_norm_(base.trainable, recipe.gradient_norm_max)
    optimizer.step()
    return mean


def _share_of_rate(recipe: AdaptRecipe, step: int) -> float:
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


def _refuse_divergence(losses: Sequence[float]) -> None:
    """Raise ``TrainingError`` where the loss is no number, or far above where it began."""
    if not math.isfinite(losses[-1]):
        raise TrainingError(
            f"the training diverged: its loss is {losses[-1]} at step {len(losses)}; lower "
            "memory.night.learning_rate"
        )
    if len(losses) >= 2 * _RECENT:
        began, now = _mean(losses[:_RECENT]), _mean(losses[-_RECENT:])
        if now > _WORSE * began:
            raise TrainingError(
                f"the training diverged: its loss rose from {began:.3g} to {now:.3g} by step "
                f"{len(losses)}; lower memory.night.learning_rate"
            )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _keep(
    path: Path, base: AdaptedBase, optimizer: torch.optim.Optimizer, losses: Sequence[float]
) -> None:
    """Write a checkpoint in one step."""
    beside = path.with_name(f".{path.name}.new")
    state = {"adapter": base.state(), "optimizer": optimizer.state_dict(), "losses": list(losses)}
    torch.save(state, beside)
    beside.replace(path)


def _resumed(path: Path, base: AdaptedBase, optimizer: torch.optim.Optimizer) -> list[float]:
    """Take up a checkpoint; return the losses so far."""
    if not path.exists():
        return []
    state = torch.load(path, weights_only=True)
    base.take(state["adapter"])
    optimizer.load_state_dict(state["optimizer"])
    losses: list[float] = state["losses"]
    return losses
