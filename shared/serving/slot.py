"""The place of an agent's model, in which it can be exchanged while prompts come in.

The new model is loaded beside the one that runs, in a thread of its own, and answers a few probe
prompts. Only then it takes the place, between two batches, and the one before is closed once its
last batch is answered. One that cannot be loaded or fails its probe is closed, and nothing has
happened. Both are in memory meanwhile. Where there is no room for both, the one before goes first,
prompts are turned away until the next one is there, and where that is not fit the one before is
loaded again. Leaves out where models come from: a bundle on the disk (``shared.agent.reload``), or
whatever else a caller can load.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final

from shared.errors import BundleError, PromptError, RecServeError, Stopping
from shared.protocol.batch_queue import STOPPING
from shared.runtimes import labels_of, probe, short_digest
from shared.serving.absent import AbsentModel
from shared.supervision import logged_if_broken
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.runtimes import Model
    from shared.serving.solver import ModelRunner
    from shared.tasks import Request

_log = get_logger()
LOAD_S: Final = 600.0
"""Time for loading and probing: a model may have to be fetched first."""
_SOON_S: Final = 30.0
"""For a model that was given up to be loaded all the same, and closed."""
PROBES: Final = (
    "a",
    "a dull film, and far too long",
    "0.5 + 0.25 = 3/4 (!?)",
    "ça va, 東京 🙂",
    "the soup was cold and the waiter slow. " * 100,
)


class ModelSlot:
    """Holds the model that a batcher runs, and exchanges it."""

    def __init__(
        self,
        model: Model,
        batcher: ModelRunner,
        *,
        lent: bool = False,
        around: Callable[[Model], Model] | None = None,
        exchanged: Callable[[Model, Model], None],
        emptied: Callable[[], None] = lambda: None,
        limit_s: float = LOAD_S,
    ) -> None:
        """Begin with the model that the batcher has; one that is ``lent`` is not closed.

        ``around`` returns what the batcher is to run for a model: the model itself, or one around
        it. ``exchanged`` hears of every model that takes the place, and of the one before;
        ``emptied`` of one that has gone before the next one is there.
        """
        self.model = model
        self._batcher = batcher
        self._lent = model if lent else None
        self._around = around or (lambda model: model)
        self._exchanged = exchanged
        self._emptied = emptied
        self._limit_s = limit_s
        self._turn = asyncio.Lock()
        self._last: _Attempt | None = None
        self._closed = False

    async def exchange(self, load: Callable[[], Model]) -> None:
        """Have the model that ``load`` returns answer from now on, if it is fit to.

        ``load`` runs in a thread and may take its time; prompts are answered meanwhile. Exchanges
        take turns. When this raises, the model before answers on: ``BundleError`` for a model that
        is not fit, is not there in time or cannot be loaded; ``Stopping`` when the agent leaves;
        and whatever else of ours ``load`` raises.
        """
        async with self._turn:
            await self._bring(load, self.model)

    async def exchange_alone(self, load: Callable[[], Model], again: Callable[[], Model]) -> None:
        """Exchange the model where there is no room for two: the one before goes first.

        Prompts are turned away until the next one is there; where that is not fit, ``again`` loads
        the one before. Raises as ``exchange`` does; where neither is to be had nobody answers until
        an exchange succeeds, and the error says so. Begun it goes on to its end, whoever waits.
        """
        going_on = asyncio.ensure_future(self._alone(load, again))
        going_on.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(going_on)

    async def at_rest(self) -> None:
        """Return once no exchange is under way, whether or not somebody still waits for it."""
        async with self._turn:
            if self._last is not None and self._last.taking:
                await asyncio.wait({self._last.ended})

    async def _alone(self, load: Callable[[], Model], again: Callable[[], Model]) -> None:
        async with self._turn:
            before = self.model
            await self._try(lambda: AbsentModel(before), self._emptied)
            try:
                await self._bring(load, before)
            except Stopping:
                raise
            except RecServeError as error:
                try:
                    await self._bring(again, before)
                except RecServeError as other:
                    raise BundleError(f"{error}; and {before.name} is gone: {other}") from error
                raise

    async def _bring(self, load: Callable[[], Model], before: Model) -> None:
        """Have a model take the place that is fit to follow the one before."""
        await self._try(lambda: self._load(load), lambda: self._exchanged(self.model, before))
        _log.info(
            "model exchanged",
            model=self.model.name,
            bundle=short_digest(self.model),
            before=before.name,
            bundle_before=short_digest(before),
        )

    def close(self) -> None:
        """Give up on a model that is being loaded, and close the one that is here.

        The batcher is closed before.
        """
        self._closed = True
        if self._last is not None and not self._last.give_up():
            self._last.join()
        self._let_go(self.model)

    async def _try(self, load: Callable[[], Model], tell: Callable[[], None]) -> None:
        if self._closed:
            raise Stopping(STOPPING)
        if self._last is not None and self._last.lingers:  # given up for us: it may soon end
            await asyncio.wait({self._last.gone}, timeout=min(self._limit_s, _SOON_S))
        if self._last is not None and self._last.lingers:
            raise BundleError(
                "an earlier model, which took too long, is still being loaded; start the agent "
                "again if it never ends"
            )
        self._last = attempt = _Attempt(load, self._take, tell)
        try:
            await asyncio.wait({attempt.ended}, timeout=self._limit_s)
            if not attempt.ended.done() and attempt.give_up():
                raise BundleError(f"the model was not loaded and probed within {self._limit_s:g} s")
            await asyncio.shield(attempt.ended)
        except asyncio.CancelledError:
            attempt.give_up()
            raise

    # -- in the attempt's thread -----------------------------------------------------------------

    def _load(self, load: Callable[[], Model]) -> Model:
        """Return a model that is fit to take the place. Raises ``BundleError`` and what it may."""
        model = load()
        try:
            _probe(model, self.model)
        except BaseException:
            model.close()
            raise
        return model

    def _take(self, model: Model) -> None:
        """Put a model in the place, and close the one before. Raises ``Stopping``."""
        try:
            self._batcher.exchange(self._around(model))
        except BaseException:
            model.close()
            raise
        before, self.model = self.model, model
        self._let_go(before)

    def _let_go(self, model: Model) -> None:
        if model is not self._lent:
            with logged_if_broken("closing a model", model=model.name):
                model.close()


class _Attempt(threading.Thread):
    """A model on its way in, in a thread that nobody has to wait for."""

    def __init__(
        self,
        load: Callable[[], Model],
        take: Callable[[Model], None],
        tell: Callable[[], None],
    ) -> None:
        """Start to ``load``, then have it ``take`` the place, then ``tell`` in the event loop."""
        super().__init__(name="model-exchange", daemon=True)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """The end, or the error that it came to."""
        self.gone: asyncio.Future[None] = self.ended.get_loop().create_future()
        """Done once nothing is loaded here any more, given up or not."""
        self._load, self._take, self._tell = load, take, tell
        self._deciding = threading.Lock()
        self.taking = self._given_up = False
        """Whether its model takes the place, or has: nobody can give it up any more."""
        self.start()

    def give_up(self) -> bool:
        """Have the model closed as soon as it is there; say no when it is taking the place."""
        with self._deciding:
            self._given_up = not self.taking
            return self._given_up

    @property
    def lingers(self) -> bool:
        """Whether it was given up, and goes on all the same: nothing ends a thread from outside."""
        return self._given_up and not self.gone.done()

    def run(self) -> None:
        """Load and take the place; what an engine raises need not be an ``Exception``."""
        error: RecServeError | None = None
        try:
            self._go()
        except RecServeError as raised:
            error = raised
        except BaseException as raised:  # noqa: BLE001 - whatever the engine raises
            _log.exception("a model could not be loaded")
            error = BundleError(f"the model cannot be loaded: {type(raised).__name__}: {raised}")
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self.ended.get_loop().call_soon_threadsafe(self._end, error)

    def _go(self) -> None:
        model = self._load()
        with self._deciding:
            self.taking = not self._given_up
        if self.taking:
            self._take(model)
        else:
            model.close()

    def _end(self, error: RecServeError | None) -> None:
        self.gone.set_result(None)
        if self._given_up:
            return
        if error is None:
            with logged_if_broken("telling of an exchanged model"):
                self._tell()
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
            self.ended.exception()  # whoever waited for it may have left


def _probe(new: Model, old: Model) -> None:
    """Raise ``BundleError`` unless a model can take another's place."""
    missing = old.tasks - new.tasks
    if missing:
        raise BundleError(f"{new.name} does not answer {', '.join(sorted(missing))}")
    if set(labels_of(new)) != set(labels_of(old)):
        raise BundleError(
            f"{new.name} has other labels ({', '.join(labels_of(new))}) than {old.name} "
            f"({', '.join(labels_of(old))}), by which agents are told apart; start the agent again "
            "for that"
        )
    for task in sorted(old.tasks):
        requests = [probe(new, task, text) for text in PROBES]
        for batch in (requests[:1], requests):
            _probe_with(new, batch)


def _probe_with(model: Model, batch: list[Request]) -> None:
    answers = model.answer(batch)
    if len(answers) != len(batch):
        raise BundleError(f"{model.name} gave {len(answers)} answers to {len(batch)} probe prompts")
    for answer in answers:
        if isinstance(answer, PromptError):
            raise BundleError(f"{model.name} fails at a probe prompt: {answer}") from answer
        if not 0.0 <= answer.confidence <= 1.0:
            raise BundleError(
                f"{model.name} answers a probe prompt with a confidence of {answer.confidence}, "
                "which is not between 0 and 1"
            )
