"""How a request becomes a chat completion, and what one becomes: a text, or one of some labels.

The confidence of a text is made of its tokens' log probabilities (``shared.tasks.generate``); the
token that ends it is not among those that servers tell. A label is scored by the likeliest tokens
(``shared.runtimes.label_scores``). Of a server that tells no log probabilities nothing is known:
every answer has confidence 1, which is of use at the top of the cascade alone.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.errors import InvalidPrompt, ModelFailed
from shared.messages import Scored
from shared.runtimes.chat import options_of
from shared.runtimes.label_scores import score_labels
from shared.tasks import classify, generate
from shared.tasks.classify import ClassifyOptions, Label, max_probability
from shared.tasks.generate import NEW_TOKENS, Completion, GenerateOptions

if TYPE_CHECKING:
    from shared.messages import ConfidenceKind
    from shared.runtimes.chat_wire import ChatCompletion
    from shared.runtimes.model_settings import Constraints, ModelSettings
    from shared.tasks import Exemplar, Request

_LABEL_TOKENS: Final = 24
_LIKELIEST: Final = 20
_TOKEN_BYTES: Final = 3
_FRAME_TOKENS: Final = 8
"""For the words of a template around each turn."""
_AROUND: Final = " \t\r\n\"'`*."
_CHOICE: Final = "choice"


class Manners(NamedTuple):
    """What a server has: log probabilities, and its word for the longest answer."""

    certain: bool
    limit: str


class Chats:
    """Requests and answers of one model, as the settings want them."""

    def __init__(self, settings: ModelSettings, manners: Manners) -> None:
        self._settings = settings
        self._manners = manners
        self.certainty: generate.Certainty = settings.certainty or "perplexity"

    def body(self, request: Request) -> dict[str, Any]:
        """Return what the server is asked. Raises ``InvalidPrompt``."""
        if request.task == "generate":
            return self._generation(request, generate.read(request.options))
        return self._classification(request, self._options(request))

    def room_for_examples(self, request: Request) -> int:
        """Return tokens for examples: what a model at a server holds is not told, so no limit."""
        del request
        return sys.maxsize

    def tokens_of(self, example: Exemplar) -> int:
        """Return about what an example takes, rather more: a token for each three bytes."""
        size = len(f"{example.content}{example.answer}".encode(errors="replace"))
        return size // _TOKEN_BYTES + 2 * _FRAME_TOKENS

    def scored(self, request: Request, completion: ChatCompletion, elapsed_us: int) -> Scored:
        """Return the answer. Raises ``ModelFailed`` where it is none."""
        if request.task == "generate":
            wanted = generate.read(request.options)
            return self._text(completion, wanted, elapsed_us)
        return self._label(completion, self._options(request).labels, elapsed_us)

    # -- generate --------------------------------------------------------------------------------

    def _generation(self, request: Request, wanted: GenerateOptions) -> dict[str, Any]:
        most = self._settings.max_new_tokens
        tokens = wanted.max_new_tokens or most or NEW_TOKENS
        turns = [{"role": turn.role, "content": turn.content} for turn in wanted.messages]
        system = wanted.system or self._settings.instruction
        body = self._chat(system, turns, request, min(tokens, most or tokens))
        body["temperature"] = wanted.temperature
        if wanted.top_p < 1:
            body["top_p"] = wanted.top_p
        if wanted.seed is not None:
            body["seed"] = wanted.seed
        if wanted.stop:
            body["stop"] = wanted.stop
        return body | constrained(wanted, self._settings.constraints)

    def _text(self, completion: ChatCompletion, wanted: GenerateOptions, elapsed_us: int) -> Scored:
        if completion.finish_reason == "content_filter":
            raise InvalidPrompt("the server's filter keeps the answer to this prompt back")
        text = completion.text
        if wanted.choices is not None and self._settings.constraints == "json_schema":
            text = _choice_in(text)
        answer = Completion(
            text,
            "length" if completion.finish_reason == "length" else "stop",
            completion.tokens_in,
            completion.tokens_out,
        )
        if not self._manners.certain:
            return Scored(answer, 1.0, elapsed_us, confidence_kind="unknown")
        chosen = [token.logprob for token in completion.tokens or ()]
        confidence = generate.confidence(chosen, self.certainty)
        return Scored(answer, confidence, elapsed_us, confidence_kind=self.certainty)

    # -- classify --------------------------------------------------------------------------------

    def _options(self, request: Request) -> ClassifyOptions:
        if request.task != "classify":
            raise InvalidPrompt(f"this model answers classify and generate, not {request.task!r}")
        return options_of(request, self._settings.labels)

    def _classification(self, request: Request, wanted: ClassifyOptions) -> dict[str, Any]:
        told = wanted.instruction or self._settings.instruction
        system = told or classify.question(wanted.labels)
        body = self._chat(system, [], request, _LABEL_TOKENS)
        body["temperature"] = 0
        if self._manners.certain:
            body["top_logprobs"] = _LIKELIEST
        if self._settings.constraints in ("none", "json_schema"):
            return body
        return body | constrained(
            GenerateOptions(choices=wanted.labels), self._settings.constraints
        )

    def _label(
        self, completion: ChatCompletion, labels: tuple[str, ...], elapsed_us: int
    ) -> Scored:
        said = completion.text.strip(_AROUND)
        probabilities: tuple[float, ...] | None = None
        kind: ConfidenceKind = "max_probability"
        if self._manners.certain:
            probabilities = score_labels(completion.tokens or (), labels)
        if probabilities is None:
            kind = "unknown"
            named = [float(label.casefold() == said.casefold()) for label in labels]
            if sum(named) != 1:
                raise ModelFailed(f"the model says {said[:80]!r}, which is none of the labels")
            probabilities = tuple(named)
        index, confidence = max_probability(probabilities)
        return Scored(Label(labels[index]), confidence, elapsed_us, probabilities, kind)

    def _chat(
        self, system: str, turns: list[dict[str, str]], request: Request, tokens: int
    ) -> dict[str, Any]:
        first = [{"role": "system", "content": system}] if system else []
        first += [
            {"role": role, "content": content}
            for example in request.examples
            for role, content in (("user", example.content), ("assistant", example.answer))
        ]
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": [*first, *turns, {"role": "user", "content": request.content}],
            self._manners.limit: tokens,
        }
        if self._manners.certain:
            body["logprobs"] = True
        return body


def constrained(wanted: GenerateOptions, constraints: Constraints) -> dict[str, Any]:
    """Return what tells a server what a text has to be like. Raises ``InvalidPrompt``."""
    if not wanted.constrained:
        return {}
    if constraints == "none":
        raise InvalidPrompt(
            "json_schema, regex and choices are not for this model: its server is not known to see "
            "to them (model.constraints)"
        )
    if constraints == "vllm":
        return {"structured_outputs": _vllm(wanted)}
    if wanted.regex is not None:
        raise InvalidPrompt("this model's server cannot see to a regex; use json_schema or choices")
    if wanted.choices is None:
        return {"response_format": _schema("answer", wanted.json_schema)}
    if constraints == "llama.cpp":
        return {"grammar": f"root ::= {' | '.join(map(_quoted, wanted.choices))}"}
    choice = {"type": "string", "enum": list(wanted.choices)}
    schema = {
        "type": "object",
        "properties": {_CHOICE: choice},
        "required": [_CHOICE],
        "additionalProperties": False,
    }
    return {"response_format": _schema(_CHOICE, schema)}


def _vllm(wanted: GenerateOptions) -> dict[str, Any]:
    if wanted.regex is not None:
        return {"regex": wanted.regex}
    if wanted.choices is not None:
        return {"choice": list(wanted.choices)}
    return {"json": wanted.json_schema}


def _schema(name: str, schema: Any) -> dict[str, Any]:
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": schema, "strict": True},
    }


def _quoted(choice: str) -> str:
    """Return a choice as a string of llama.cpp's grammars, which escape as JSON does."""
    return json.dumps(choice, ensure_ascii=False)


def _choice_in(text: str) -> str:
    """Return the choice in an answer that was to be JSON."""
    try:
        return str(json.loads(text)[_CHOICE])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFailed(f"the server did not see to the choices: {text[:80]!r}") from error
