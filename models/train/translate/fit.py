"""Fit a translator to pairs: loss on the answer alone, resumable after every epoch."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, dropout

from models.train.progress import progress
from models.train.translate.batches import CaptionBatch, shuffled_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import LlamaForCausalLM

    from models.train.translate.pieces import PairIds


@dataclass(frozen=True)
class TranslatorSchedule:
    """How long and how fast to train: linear warm-up to the peak, then linear decay to zero."""

    epochs: int
    tokens_per_batch: int
    peak_learning_rate: float
    dropout: float
    label_smoothing: float = 0.1
    warmup_share: float = 0.05
    weight_decay: float = 0.1
    gradient_norm_max: float = 1.0


def fit(
    model: LlamaForCausalLM,
    rows: Sequence[PairIds],
    schedule: TranslatorSchedule,
    seed: int,
    label: str,
    state: Path,
    report: Callable[[int], str],
) -> None:
    """Train `model` in place; after each epoch save to `state` and print `report(epoch)`.

    Where `state` exists, the run goes on after the epoch it was saved in. The order of rows
    follows from `seed` and the epoch alone.
    """
    _drop_out(model, schedule.dropout)
    optimizers = _optimizers(model, schedule)
    first = _restore(model, optimizers, state)
    for epoch in range(first, schedule.epochs):
        torch.manual_seed(seed + epoch)
        rng = random.Random(seed + epoch)  # noqa: S311  # order of training, no secret
        batches = shuffled_batches(rows, schedule.tokens_per_batch, rng)
        model.train()
        losses: list[float] = []
        with progress(f"{label}, epoch {epoch + 1}", len(batches)) as advance:
            for index, batch in enumerate(batches):
                share = _share_of_peak(epoch + index / len(batches), schedule)
                losses.append(train_step(model, batch, optimizers, share, schedule))
                advance(f"loss {sum(losses[-50:]) / len(losses[-50:]):.4f}")
        model.eval()
        _store(model, optimizers, epoch + 1, state)
        print(f"{label}: after epoch {epoch + 1} of {schedule.epochs}: {report(epoch)}", flush=True)


def train_step(
    model: LlamaForCausalLM,
    batch: CaptionBatch,
    optimizers: Sequence[torch.optim.Optimizer],
    share_of_peak: float,
    schedule: TranslatorSchedule,
) -> float:
    """One update on one batch; returns the loss before it.

    Padding stands at the right, so causal attention needs no mask. Each step enters `autocast`
    anew: the copies of the weights that it keeps are of before the update.
    """
    for optimizer in optimizers:
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = schedule.peak_learning_rate * share_of_peak
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[batch.asked])
    smoothing = schedule.label_smoothing
    loss = cross_entropy(logits.float(), batch.answers, label_smoothing=smoothing)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.gradient_norm_max)
    for optimizer in optimizers:
        optimizer.step()
    return float(loss.detach())


def _drop_out(model: LlamaForCausalLM, share: float) -> None:
    """Drop that share of what the embeddings and each block add, while the model trains."""
    layers = model.model.layers
    blocks = [part for layer in layers for part in (layer.self_attn.o_proj, layer.mlp.down_proj)]
    for block in (model.model.embed_tokens, *blocks):
        block.register_forward_hook(
            lambda module, _, output: dropout(output, share, training=module.training)
        )


def _optimizers(
    model: LlamaForCausalLM, schedule: TranslatorSchedule
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    matrices = [p for p in model.model.layers.parameters() if p.ndim > 1]
    taken = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in taken]
    rate, decay = schedule.peak_learning_rate, schedule.weight_decay
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.98), fused=True),
    ]


def _share_of_peak(epoch: float, schedule: TranslatorSchedule) -> float:
    warmup = schedule.epochs * schedule.warmup_share
    if epoch < warmup:
        return (epoch + 0.01) / (warmup + 0.01)
    return (schedule.epochs - epoch) / (schedule.epochs - warmup)


def _store(
    model: LlamaForCausalLM, optimizers: Sequence[torch.optim.Optimizer], epochs: int, path: Path
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    states = [optimizer.state_dict() for optimizer in optimizers]
    torch.save({"epochs": epochs, "model": model.state_dict(), "optimizers": states}, beside)
    beside.replace(path)


def _restore(
    model: LlamaForCausalLM, optimizers: Sequence[torch.optim.Optimizer], path: Path
) -> int:
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    return int(saved["epochs"])
