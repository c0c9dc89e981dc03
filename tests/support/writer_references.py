"""A model that writes in the hands of transformers: what it writes, and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class WriterReference:
    """The same model in the hands of transformers."""

    def __init__(self, folder: Path) -> None:
        import transformers  # noqa: PLC0415 - optional

        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        config = transformers.AutoConfig.from_pretrained(folder)
        self.encodes = config.is_encoder_decoder
        kind = "AutoModelForSeq2SeqLM" if self.encodes else "AutoModelForCausalLM"
        self.network = getattr(transformers, kind).from_pretrained(folder).eval()

    def greedy(self, text: str, tokens: int) -> tuple[str, list[int], list[float]]:
        """Return what it writes, its tokens, and how likely each is in a second pass over all."""
        read = self.tokenizer(text, return_tensors="pt")
        ids, mask = read["input_ids"], read["attention_mask"]
        import torch  # noqa: PLC0415 - optional

        with torch.inference_mode():
            written = self.network.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=tokens,
                do_sample=False,
                num_beams=1,
            )
            before = 1 if self.encodes else ids.shape[1]
            if self.encodes:
                logits = self.network(
                    input_ids=ids, attention_mask=mask, decoder_input_ids=written
                ).logits
            else:
                logits = self.network(input_ids=written).logits
        chosen = written[0, before:].tolist()
        rows = torch.log_softmax(logits[0].double(), -1)[before - 1 : -1]
        chances = [float(row[token]) for row, token in zip(rows, chosen, strict=True)]
        return self.tokenizer.decode(chosen, skip_special_tokens=True), chosen, chances

    def mean(self, read: Sequence[int], label: str) -> float:
        """Return the mean log probability of a label's tokens, and of that which ends it."""
        import torch  # noqa: PLC0415 - optional

        before = "" if self.encodes else " "
        answer = self.tokenizer(before + label, add_special_tokens=False)["input_ids"]
        answer = [*answer, self.tokenizer.eos_token_id]
        with torch.inference_mode():
            if self.encodes:
                start = self.network.config.decoder_start_token_id
                written = torch.tensor([[start, *answer]])
                logits = self.network(input_ids=torch.tensor([read]), decoder_input_ids=written)
                rows = logits.logits[0]
            else:
                rows = self.network(torch.tensor([[*read, *answer]])).logits[0, len(read) - 1 :]
        chances = torch.log_softmax(rows.double(), -1)
        return sum(float(chances[at, token]) for at, token in enumerate(answer)) / len(answer)
