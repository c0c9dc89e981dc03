"""Which token comes next: what a model's own configuration rules out, and what is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks.generate import GenerateOptions


class Chooser:
    """Chooses the tokens of one text.

    A model's ``generation_config`` may say what no text of it has: n-grams twice, tokens that are
    never written, a first token that always is. That is followed; how it draws is not, which is
    for whoever asks. All of it comes after the log probabilities, which are the model's own.
    """

    def __init__(
        self, wanted: GenerateOptions, rules: Sequence[Any], device: torch.device, read: list[int]
    ) -> None:
        """``read`` is what rules count as written before."""
        self._rules = transformers.LogitsProcessorList(rules)
        self._warpers = transformers.LogitsProcessorList()
        self._draw: torch.Generator | None = None
        self._written = list(read) if rules else []
        if wanted.temperature:
            self._warpers.append(transformers.TemperatureLogitsWarper(wanted.temperature))
            if wanted.top_p < 1:
                self._warpers.append(transformers.TopPLogitsWarper(wanted.top_p))
            self._draw = torch.Generator(device)
            if wanted.seed is None:
                self._draw.seed()
            else:
                self._draw.manual_seed(wanted.seed)

    @property
    def plain(self) -> bool:
        """Whether the likeliest token is taken, whatever it is."""
        return self._draw is None and not self._rules

    def choose(self, scores: Any) -> int:
        """Return the next token, by the scores of all tokens."""
        scores = scores[None].clone()
        if self._rules:
            written = torch.tensor([self._written], device=scores.device)
            scores = self._rules(written, scores)
        if self._draw is None:
            token = int(scores.argmax())
        else:
            chances = torch.softmax(self._warpers(None, scores)[0], -1)
            token = int(torch.multinomial(chances, 1, generator=self._draw))
        if self._rules:
            self._written.append(token)
        return token


def rules_of(config: Any, ends: Sequence[int], device: str, *, encodes: bool) -> list[Any]:
    """Return what a model's generation config says of any text, whoever asks for it."""
    rules: list[Any] = []
    if (penalty := config.repetition_penalty) and penalty != 1:
        rules.append(transformers.RepetitionPenaltyLogitsProcessor(penalty))
    if size := config.no_repeat_ngram_size:
        rules.append(transformers.NoRepeatNGramLogitsProcessor(size))
    if config.bad_words_ids:
        rules.append(transformers.NoBadWordsLogitsProcessor(config.bad_words_ids, list(ends)))
    if encodes and config.min_length and ends:
        rules.append(
            transformers.MinLengthLogitsProcessor(config.min_length, list(ends), device=device)
        )
    if encodes and config.forced_bos_token_id is not None:
        rules.append(transformers.ForcedBOSTokenLogitsProcessor(config.forced_bos_token_id))
    if config.suppress_tokens:
        rules.append(
            transformers.SuppressTokensLogitsProcessor(config.suppress_tokens, device=device)
        )
    return rules


def next_tokens(scores: Any, choosers: Sequence[Chooser]) -> list[tuple[int, float]]:
    """Return the next token of each row, and the log probability that the model gave it."""
    scores = scores.float()
    tokens = scores.argmax(-1)
    for row, chooser in enumerate(choosers):
        if not chooser.plain:
            tokens[row] = chooser.choose(scores[row])
    chances = scores.gather(-1, tokens[:, None])[:, 0] - scores.logsumexp(-1)
    return list(zip(tokens.tolist(), chances.tolist(), strict=True))
