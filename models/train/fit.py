"""Fit a classifier to soft targets, and measure it. Leaves out what the targets are made from."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch.nn.functional import log_softmax

from models.train.batches import Encoded, TokenBatch, collate, shuffled_batches
from models.train.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import BertForSequenceClassification, PreTrainedModel

_Batch = TypeVar("_Batch")
_ROWS_PER_READ = 64


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: linear warm-up to the peak, then linear decay to zero."""

    epochs: int
    rows_per_batch: int
    peak_learning_rate: float
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    gradient_norm_max: float = 1.0


def fit(
    model: BertForSequenceClassification,
    encoded: Sequence[Encoded],
    schedule: Schedule,
    seed: int,
    label: str,
) -> list[float]:
    """Train `model` in place with AdamW; returns the loss of every step in order.

    The order of rows follows from `seed` alone.
    """
    rng = random.Random(seed)  # noqa: S311  # order of training, no secret
    torch.manual_seed(seed)
    epochs = [
        shuffled_batches(encoded, schedule.rows_per_batch, rng) for _ in range(schedule.epochs)
    ]
    batches = [batch for epoch in epochs for batch in epoch]
    return train(model, batches, classifier_loss, schedule, label)


def train(
    model: PreTrainedModel,
    batches: Sequence[_Batch],
    loss_of: Callable[[PreTrainedModel, _Batch], torch.Tensor],
    schedule: Schedule,
    label: str,
) -> list[float]:
    """Make a step on each batch in order; returns the loss of every step."""
    optimizer = _optimizer(model, schedule)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _share_of_peak(step, len(batches), schedule.warmup_share)
    )
    losses: list[float] = []
    model.train()
    with progress(label, len(batches)) as advance:
        for batch in batches:
            losses.append(train_step(model, batch, loss_of, optimizer, schedule.gradient_norm_max))
            rate.step()
            recent = losses[-100:]
            advance(f"loss {sum(recent) / len(recent):.4f}")
    model.eval()
    return losses


def train_step(
    model: PreTrainedModel,
    batch: _Batch,
    loss_of: Callable[[PreTrainedModel, _Batch], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    gradient_norm_max: float,
) -> float:
    """One update on one batch; returns the loss before it.

    Matrices are multiplied in bfloat16. Each step enters `autocast` anew: the copies of the weights
    that it keeps are of before the update.
    """
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(model, batch)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), gradient_norm_max)
    optimizer.step()
    return float(loss.detach())


def classifier_loss(model: BertForSequenceClassification, batch: TokenBatch) -> torch.Tensor:
    """Return the soft cross-entropy of a classifier on a batch, in float32."""
    return soft_cross_entropy(_logits(model, batch), batch.positive)


def soft_cross_entropy(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of (rows, 2) logits against the probability of label 1, (rows,)."""
    log_p = log_softmax(logits, dim=-1)
    return -(positive * log_p[:, 1] + (1 - positive) * log_p[:, 0]).mean()


def predict(
    model: BertForSequenceClassification, encoded: Sequence[Encoded], label: str
) -> torch.Tensor:
    """Logits of every example in the order given, float32 (examples, 2)."""
    model.eval()
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index].ids))
    logits = torch.empty(len(encoded), 2)
    starts = range(0, len(order), _ROWS_PER_READ)
    with torch.inference_mode(), progress(label, len(starts)) as advance:
        for start in starts:
            part = order[start : start + _ROWS_PER_READ]
            batch = collate([encoded[index] for index in part])
            logits[part] = _logits(model, batch)
            advance("")
    return logits


def _logits(model: BertForSequenceClassification, batch: TokenBatch) -> torch.Tensor:
    logits: torch.Tensor = model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask
    ).logits
    return logits.float()


def _optimizer(model: PreTrainedModel, schedule: Schedule) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": schedule.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.peak_learning_rate, fused=True)


def _share_of_peak(step: int, steps: int, warmup_share: float) -> float:
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))
