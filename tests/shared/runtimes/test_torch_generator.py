"""Texts by PyTorch, held against ``generate`` of transformers on tiny real models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from shared.errors import BundleError, InvalidPrompt, ModelFailed, RuntimeUnavailable, SettingsError
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.model import Generator, TakesExamples
from shared.tasks import Exemplar, Request
from tests.support.tiny_generators import write_language_model
from tests.support.tiny_writers import ENCODING, PLACES, WITHOUT_ENCODER, write_writer
from tests.support.writer_references import WriterReference
from tests.support.writing_checks import (
    LENGTHS,
    TEXTS,
    ask,
    check_choosing,
    check_same,
    check_writing,
    said,
)

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes import Model
    from shared.runtimes.model import Entry

pytest.importorskip("torch")
KINDS = (*WITHOUT_ENCODER, *ENCODING)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("writers")
    return {kind: write_writer(place / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language_model(tmp_path_factory.mktemp("chatting"))


class Models(dict[str, "Model"]):
    """A model of each kind, loaded when it is first asked for."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders

    def __missing__(self, kind: str) -> Model:
        self[kind] = load(self._folders[kind])
        return self[kind]


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> Models:
    return Models(folders)


def load(folder: Path, **settings: Any) -> Model:
    return load_model(ModelSettings(source=str(folder), runtime="transformers", **settings))


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_what_transformers_writes_and_is_as_sure_as_a_second_pass(
    folders: dict[str, Path], models: dict[str, Model], kind: str
) -> None:
    written = check_writing(WriterReference(folders[kind]), models[kind], 1e-5)
    assert len(written) > 1, "the model must discern"


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_joins_late_or_leaves_early_changes_nobodys_answer(
    models: dict[str, Model], kind: str
) -> None:
    model = models[kind]
    assert isinstance(model, Generator)
    alone = [model.answer([request])[0] for request in LENGTHS]
    running: dict[int, Any] = {}
    ended: dict[int, Entry] = {}
    waiting = list(enumerate(LENGTHS))
    for turn in range(80):
        if waiting and not turn % 3:
            number, request = waiting.pop(0)
            running[number] = model.begin(request)
        numbers = [number for number in running if (number + turn) % 4]  # not all of them, always
        for number, entry in zip(
            numbers, model.step([running[number] for number in numbers]), strict=True
        ):
            if entry is not None:
                ended[number] = entry
                running.pop(number).close()
    assert not running
    check_same(alone, ended)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_labels_are_scored_as_the_models_answer(
    folders: dict[str, Path], models: dict[str, Model], kind: str
) -> None:
    check_choosing(WriterReference(folders[kind]), models[kind], 1e-5)


def test_a_chat_goes_through_the_models_template(chatting: Path) -> None:
    model, reference = load(chatting), WriterReference(chatting)
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "why"}]
    rendered = reference.tokenizer.apply_chat_template(
        chat, tokenize=False, add_generation_prompt=True
    )
    entry = ask(model, "why", system="Be brief.", max_new_tokens=4)
    ids = reference.tokenizer(rendered, add_special_tokens=False)["input_ids"]
    assert said(entry).tokens_in == len(ids)


def test_examples_are_read_before_what_is_asked(chatting: Path, models: dict[str, Model]) -> None:
    examples = (Exemplar("who sees to it", "Zwei Hunde"), Exemplar("what leaks", "the pump"))
    request = Request("generate", TEXTS[0], {"max_new_tokens": 4})
    for model in (load(chatting), models["gpt2"]):
        assert isinstance(model, TakesExamples)
        alone, shown = model.answer([request, structs.replace(request, examples=examples)])
        taken = sum(map(model.prompter.tokens_of, examples))

        assert said(shown).tokens_in == said(alone).tokens_in + taken
        assert said(shown).text != said(alone).text
    assert models["t5"].prompter.room_for_examples(request) == 0  # type: ignore[attr-defined]


def test_a_chat_for_a_model_without_a_template_is_refused(models: dict[str, Model]) -> None:
    for kind in ("llama", "t5"):
        entry = ask(models[kind], "why", system="Be brief.")
        assert isinstance(entry, InvalidPrompt)
        assert "no chat template" in str(entry)


def test_a_long_prompt_is_read_in_pieces_as_whole(
    chatting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(chatting)
    text = "nobody knows why the pump leaks " * 3
    whole = ask(model, text, max_new_tokens=12)
    monkeypatch.setattr("shared.runtimes.torch_decoders._PIECE", 7)
    pieces = ask(model, text, max_new_tokens=12)
    assert said(whole) == said(pieces)
    assert isinstance(whole, Scored)
    assert isinstance(pieces, Scored)
    assert whole.confidence == pytest.approx(pieces.confidence, abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_what_does_not_fit_is_cut_and_the_asker_is_told(
    models: dict[str, Model], kind: str
) -> None:
    answer = said(ask(models[kind], "so long " * 400, max_new_tokens=10))
    room = PLACES if kind == "t5" else PLACES - 10
    assert answer.prompt_cut
    assert room - 10 < answer.tokens_in <= room


@pytest.mark.parametrize("kind", ["llama", "t5"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_new_tokens": PLACES}, "max_new_tokens"),
        ({"regex": "a+"}, "transformers cannot see to them"),
        ({"choices": ["yes", "no"]}, "transformers cannot see to them"),
        ({"top_k": 3}, "top_k"),
    ],
)
def test_what_cannot_be_had_is_refused_and_leaves_the_neighbours_alone(
    models: dict[str, Model], kind: str, options: dict[str, Any], words: str
) -> None:
    good = Request("generate", "x", {"max_new_tokens": 2})
    first, second, third = models[kind].answer([good, Request("generate", "x", options), good])
    assert isinstance(second, InvalidPrompt)
    assert words in str(second)
    assert said(first) == said(third)


def test_a_stop_string_ends_a_text(models: dict[str, Model]) -> None:
    whole = said(ask(models["gpt2"], TEXTS[0], max_new_tokens=30)).text
    stop = whole[8:10]
    answer = said(ask(models["gpt2"], TEXTS[0], max_new_tokens=30, stop=[stop]))
    assert (answer.text, answer.finish) == (whole[: whole.index(stop)], "stop")


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_the_same_seed_draws_the_same_text_in_any_company(
    models: dict[str, Model], kind: str
) -> None:
    def drawn(seed: int) -> Request:
        options = {"temperature": 1.5, "top_p": 0.95, "seed": seed, "max_new_tokens": 24}
        return Request("generate", TEXTS[0], options)

    together = [said(entry).text for entry in models[kind].answer([drawn(1), drawn(2), drawn(1)])]
    (alone,) = models[kind].answer([drawn(1)])
    assert together[0] == together[2] == said(alone).text != together[1]


def test_what_the_models_own_configuration_rules_out_is_never_written(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    import shutil  # noqa: PLC0415 - here alone

    from transformers import GenerationConfig  # noqa: PLC0415 - optional

    folder = tmp_path / "ruled"
    shutil.copytree(folders["bart"], folder)
    rules = GenerationConfig.from_pretrained(folder)
    rules.no_repeat_ngram_size, rules.forced_bos_token_id, rules.min_length = 2, 9, 12
    rules.repetition_penalty, rules.bad_words_ids = 1.3, [[11], [12]]
    rules.save_pretrained(folder)
    model, reference = load(folder), WriterReference(folder)
    for text in TEXTS:
        expected, chosen, _ = reference.greedy(text, 24)
        answer = said(ask(model, text, max_new_tokens=24))
        assert (answer.text, answer.tokens_out) == (expected.rstrip("\ufffd"), len(chosen))


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_a_text_that_was_given_up_is_lost_alone(models: dict[str, Model], kind: str) -> None:
    model = models[kind]
    assert isinstance(model, Generator)
    lost = model.begin(Request("generate", "x", {"max_new_tokens": 3}))
    whole = model.begin(Request("generate", "x", {"max_new_tokens": 2}))
    model.step([lost, whole])
    lost.close()
    first, second = model.step([lost, whole])
    assert isinstance(first, ModelFailed)
    assert isinstance(second, Scored)


def test_settings_of_writers_are_refused_for_a_model_that_classifies(classifier: Path) -> None:
    with pytest.raises(SettingsError, match=r"model\.certainty is for models that write"):
        load(classifier, certainty="mean")


def test_a_folder_without_a_tokenizer_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    import shutil  # noqa: PLC0415 - here alone

    bare = tmp_path / "bare"
    shutil.copytree(folders["gpt2"], bare, ignore=shutil.ignore_patterns("tokenizer*"))
    with pytest.raises(BundleError, match="bare"):
        load(bare)


def test_a_closed_model_says_so(folders: dict[str, Path]) -> None:
    closed = load(folders["t5"])
    closed.close()
    with pytest.raises(RuntimeUnavailable, match="closed"):
        closed.answer([Request("generate", "x")])
