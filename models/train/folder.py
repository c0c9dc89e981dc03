"""Write a trained model as an ordinary Hugging Face folder, with `training.json` beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from models.train.student import Student
    from shared.runtimes.bundle_files import Side


def save(
    student: Student, folder: Path, record: dict[str, object], truncation: Side = "left"
) -> None:
    """Write config.json, model.safetensors, tokenizer files and the training record.

    ``truncation`` is the end of a text that is cut off where it is too long.
    tokenizer.json is written without indentation: it is a sixth of the smallest bundle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    student.model.save_pretrained(folder)
    write_json(folder / "tokenizer_config.json", _tokenizer_config(student, truncation))
    (folder / "tokenizer.json").write_text(student.tokenizer.to_str(), encoding="utf-8")
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as compact JSON."""
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


def _tokenizer_config(student: Student, truncation: Side) -> dict[str, object]:
    return {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "truncation_side": truncation,
        "model_max_length": student.model.config.max_position_embeddings,
    }
