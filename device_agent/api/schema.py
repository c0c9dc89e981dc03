"""Questions as they come in on a device's ``ask`` topic, and answers as they go out: their JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from uuid import UUID, uuid4, uuid5

import msgspec

from shared import tasks
from shared.errors import InvalidPrompt
from shared.messages import Failure, Result
from shared.wire.topics import is_name

if TYPE_CHECKING:
    from shared.bus import Message
    from shared.messages import Hop, Provenance

_NAMESPACE: Final = UUID("5f0c6a52-6c40-4d9e-9a3e-0d2f5a4d1b7e")
_ID_BYTES: Final = 128
_ID_DIGITS: Final = 40
_TOPIC_BYTES: Final = 512
_CORRELATION_BYTES: Final = 1024

Echo = str | int
"""An asker's own id of a question, as it came."""
_Id = (
    Annotated[str, msgspec.Meta(min_length=1, max_length=_ID_BYTES)]
    | Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
)
"""An outbox holds no larger number."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question as it came in; ``id`` is the asker's own and only echoed."""

    text: str | None = None
    id: _Id | None = None
    task: Annotated[str, msgspec.Meta(max_length=_ID_BYTES)] = "classify"
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    priority: int = 0
    receipt: bool = False
    revisions: bool = False
    options: dict[str, Any] = {}

    def prompt_id(self, device: str, answer_to: str = "") -> UUID:
        """Return the prompt's id: the same for the same question, so that repeats are known.

        The text is part of it, since askers count from one again after a restart, and so are the
        options, and the response topic: two askers may use one id.
        """
        if self.id is None:
            return uuid4()
        more = filter(None, [answer_to, self.options])
        question = [device, self.id, self.task, self.text, *more]
        return uuid5(_NAMESPACE, json.dumps(question, sort_keys=True))


class Desk(NamedTuple):
    """Where one question is answered: on which topic, with which correlation data."""

    topic: str
    correlation: bytes = b""


def read_ask(payload: bytes) -> Ask:
    """Read plain text or a JSON object. Raises ``InvalidPrompt`` that names the fault."""
    if payload.lstrip()[:1] == b"{":
        try:
            return _checked(msgspec.json.decode(payload, type=Ask))
        except msgspec.ValidationError as error:
            raise InvalidPrompt(f"the question does not fit: {error}") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidPrompt(f"the question begins like JSON but is none: {error}") from error
        except UnicodeDecodeError as error:
            raise InvalidPrompt(f"the question is not UTF-8: {error.reason}") from error
    try:
        return Ask(payload.decode())
    except UnicodeDecodeError as error:
        raise InvalidPrompt(f"the question is not UTF-8: {error.reason}") from error


def _checked(ask: Ask) -> Ask:
    if ask.text is None and ask.id is None:
        raise InvalidPrompt("the question has no text, and no id of one that was asked before")
    return ask


def write_answer(result: Result, *, echo: Echo | None, elapsed_s: float) -> dict[str, Any]:
    """Return what an asker gets to see of a result."""
    answer: dict[str, Any] = {"id": str(result.id) if echo is None else echo}
    if isinstance(result.outcome, Failure):
        answer |= {"error": result.outcome.code, "reason": result.outcome.reason}
    else:
        answer |= tasks.to_json(result.outcome) | {
            "confidence": round(result.certainty, 6),
            **_kind(result.hops[-1].certainty_kind),
            "tier": result.tier,
            "agent": result.hops[-1].agent,
            **_source(result.hops[-1].source),
        }
    if result.degraded:
        answer["degraded"] = result.degraded
    answer["elapsed_ms"] = round(elapsed_s * 1000, 3)
    answer["hops"] = [_write_hop(hop) for hop in result.hops]
    return answer


def _write_hop(hop: Hop) -> dict[str, Any]:
    said = {} if hop.probability is None else {"probability": round(hop.probability, 6)}
    return {
        "tier": hop.tier,
        "agent": hop.agent,
        "confidence": round(hop.confidence, 6),
        **_kind(hop.confidence_kind),
        **said,
        "threshold": round(hop.threshold, 6),
        "elapsed_ms": hop.elapsed_us / 1000,
    }


def _source(source: Provenance | None) -> dict[str, Any]:
    """Return who gave an answer and what of a memory it is from, where that is known."""
    if source is None:
        return {}
    entries = {"entries": list(source.entries)} if source.entries else {}
    known = {"way": source.way, "model": source.model, "version": source.version}
    return {"source": {name: value for name, value in known.items() if value} | entries}


def _kind(confidence_kind: str) -> dict[str, str]:
    """Return which number a confidence is, where that is known."""
    return {"confidence_kind": confidence_kind} if confidence_kind else {}


def read_desk(message: Message, answers: str, root: str) -> Desk:
    """Return where the sender of a question wants its answer: on ``answers`` unless it says.

    Topics below ``root`` carry what their readers trust, so of those only our own answers' will do;
    what else we may write on is the broker's to say. Raises ``InvalidPrompt``.
    """
    topic = message.response_topic
    if not topic:
        return Desk(answers)
    ours = topic == answers or (
        topic.startswith(f"{answers}/") and is_name(topic[len(answers) + 1 :])
    )
    if not ours and (topic.startswith(("$", f"{root}/")) or set(topic) & set("+#\0")):
        raise InvalidPrompt(
            f"no answer goes to the response topic {topic[:128]!r}; take {answers}/NAME, or one "
            f"that is not below {root}/"
        )
    if len(topic.encode("utf-8", "replace")) > _TOPIC_BYTES:
        raise InvalidPrompt(f"the response topic is longer than {_TOPIC_BYTES} bytes")
    if len(message.correlation) > _CORRELATION_BYTES:
        raise InvalidPrompt(f"the correlation data is longer than {_CORRELATION_BYTES} bytes")
    return Desk(topic, message.correlation)


def read_echo(payload: bytes) -> Any:
    """Return the id of a question that was refused, as it came, if it is one that can be told."""
    try:
        echo = json.loads(payload)["id"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    if isinstance(echo, str):
        tellable = 0 < len(echo) <= _ID_BYTES and echo.isprintable()
    else:
        tellable = isinstance(echo, int | float) and len(str(echo)) <= _ID_DIGITS
    return echo if tellable else None
