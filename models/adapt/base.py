"""The frozen base with its adapter, and how rows become its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import torch

from models.train.errors import TrainingError
from shared.errors import BundleError, RuntimeUnavailable
from shared.runtimes.chat import Prompter
from shared.runtimes.torch_folder import read_config, read_tokenizer, silence, token_limit
from shared.runtimes.torch_tokens import TorchTokens
from shared.tasks import Request
from shared.tasks.generate import GenerateOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.adapt.recipe import AdaptRecipe, AdaptRow
    from shared.tasks import Task

_UNSCORED: Final = -100
"""What PyTorch's cross-entropy passes over."""
_ROW_TOKENS: Final = 256
"""Of a text to be classified, as many are learned from; the model reads on when it serves."""


class RowReader(Protocol):
    """Makes a batch of rows."""

    def __call__(self, rows: Sequence[AdaptRow]) -> dict[str, torch.Tensor]:
        """Return what the network takes, its labels included."""


class AdaptedBase:
    """A base whose weights stay, an adapter that learns, and a reader of its rows."""

    def __init__(self, source: str, task: Task, recipe: AdaptRecipe, warm: Path | None) -> None:
        """Load the base, with a new adapter or that of a folder.

        Raises ``BundleError`` when the base cannot be read or learn, ``RuntimeUnavailable``.
        """
        torch.manual_seed(recipe.seed)
        with silence():
            config, self.tokenizer = read_config(source), read_tokenizer(source)
            network = _load(source, task)
        self.read: RowReader = (
            WritingRows(config, self.tokenizer, network, recipe.instruction)
            if task == "generate"
            else ChoosingRows(config, self.tokenizer, source)
        )
        self.network = _adapted(network, task, recipe, warm)
        self._halved = task == "classify" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - nowhere else

    @property
    def trainable(self) -> list[torch.nn.Parameter]:
        """What learns."""
        return [each for each in self.network.parameters() if each.requires_grad]

    def loss(self, rows: Sequence[AdaptRow]) -> torch.Tensor:
        """Return the mean loss of a batch of rows.

        A classifier multiplies in bfloat16 where the processor does, which takes half the time.
        """
        with torch.autocast("cpu", torch.bfloat16, enabled=self._halved):
            loss: torch.Tensor = self.network(**self.read(rows)).loss
        return loss

    def state(self) -> dict[str, torch.Tensor]:
        """Return what the adapter has learned so far."""
        from peft import get_peft_model_state_dict  # noqa: PLC0415 - heavy

        state: dict[str, torch.Tensor] = get_peft_model_state_dict(self.network)
        return state

    def take(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what an adapter had learned."""
        from peft import set_peft_model_state_dict  # noqa: PLC0415 - heavy

        set_peft_model_state_dict(self.network, state)

    def save(self, adapter: Path, tuned: Path) -> None:
        """Write the adapter by itself, and the base with it put in, as an ordinary folder."""
        self.network.save_pretrained(adapter)
        merged = self.network.merge_and_unload()
        beside = tuned.with_name(f".{tuned.name}.new")
        merged.save_pretrained(beside)
        self.tokenizer.save_pretrained(beside)
        beside.rename(tuned)  # whoever finds the folder finds it whole


class WritingRows:
    """Rows of a model that writes: the prompt as it is served, then the tokens of the answer."""

    def __init__(self, config: Any, tokenizer: Any, network: Any, instruction: str) -> None:
        self._tokens = TorchTokens(tokenizer, network, encodes=False)
        if not self._tokens.ends:
            raise BundleError("the base names no token that ends an answer, so it could never stop")
        self._prompter = Prompter(
            self._tokens,
            context_tokens=token_limit(config, tokenizer, network, None),
            chats=self._tokens.chats,
            instruction=instruction,
            special=self._tokens.special,
        )
        self._kept: dict[AdaptRow, tuple[list[int], list[int]]] = {}

    def __call__(self, rows: Sequence[AdaptRow]) -> dict[str, torch.Tensor]:
        """Return ids, mask and labels, (rows, tokens) each; only the answers are scored."""
        parts = [self._parts(row) for row in rows]
        length = max(len(prompt) + len(answer) for prompt, answer in parts)
        ids = torch.zeros(len(rows), length, dtype=torch.int64)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, _UNSCORED)
        for index, (prompt, answer) in enumerate(parts):
            whole = torch.tensor([*prompt, *answer])
            ids[index, : len(whole)] = whole
            mask[index, : len(whole)] = 1
            labels[index, len(prompt) : len(whole)] = torch.tensor(answer)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    def _parts(self, row: AdaptRow) -> tuple[list[int], list[int]]:
        if row not in self._kept:
            request = Request("generate", row.text, examples=row.examples)
            asked = self._prompter.generation(request, GenerateOptions())
            self._kept[row] = (asked.tokens, self._tokens.label(row.answer))
        return self._kept[row]


class ChoosingRows:
    """Rows of a classifier: its text, cut as it is served, and the number of its label."""

    def __init__(self, config: Any, tokenizer: Any, source: str) -> None:
        self._numbers = {str(label): number for number, label in config.id2label.items()}
        self._tokenizer = tokenizer
        self._source = source

    def __call__(self, rows: Sequence[AdaptRow]) -> dict[str, torch.Tensor]:
        """Return the tokenizer's tensors with ``labels`` (rows,). Raises ``TrainingError``."""
        foreign = {row.answer for row in rows} - self._numbers.keys()
        if foreign:
            raise TrainingError(
                f"{self._source}: has no label {min(foreign)!r}; its labels are "
                f"{', '.join(self._numbers)}, and those of the tier above must be the same"
            )
        batch = self._tokenizer(
            [row.text for row in rows],
            padding=True,
            truncation=True,
            max_length=min(_ROW_TOKENS, self._tokenizer.model_max_length),
            return_tensors="pt",
        )
        return {**batch, "labels": torch.tensor([self._numbers[row.answer] for row in rows])}


def _load(source: str, task: Task) -> Any:
    import transformers  # noqa: PLC0415 - heavy

    kind = (
        transformers.AutoModelForCausalLM
        if task == "generate"
        else transformers.AutoModelForSequenceClassification
    )
    try:
        return kind.from_pretrained(source, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise BundleError(f"{source}: transformers cannot load it: {error}") from error


def _adapted(network: Any, task: Task, recipe: AdaptRecipe, warm: Path | None) -> Any:
    try:
        import peft  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"learning needs {error.name}, which is not here; in the folder of this project: "
            'pip install -e ".[learn]"'
        ) from error
    if warm is not None:
        return peft.PeftModel.from_pretrained(network, str(warm), is_trainable=True)
    writes = task == "generate"
    config = peft.LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM if writes else peft.TaskType.SEQ_CLS,
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        target_modules="all-linear",
    )
    return peft.get_peft_model(network, config)
