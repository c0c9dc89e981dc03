"""The times of models out of the file of ``recserve models measure``, for ``recserve plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloud_agent.center.catalogue.file import read_catalogue
from experiments.profiling.profile import ModelTimes, model_key
from shared.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def read_times(path: Path, node_class: str) -> dict[str, ModelTimes]:
    """Return the times of the models that were measured on a class of node, by ``model_key``.

    Without a class the file has to have only one. Raises ``DataError``.
    """
    file = read_catalogue(path)
    classes = file.classes()
    wanted = node_class or (classes[0] if len(classes) == 1 else "")
    if wanted not in classes:
        raise DataError(
            f"{path}: has the node classes {', '.join(classes) or 'none'}; "
            "name one of them as node_class"
        )
    found = {}
    for model in file.models:
        on = model.on.get(wanted)
        if on is not None and bytes(on.times) != b"null":
            try:
                times = msgspec.json.decode(on.times, type=ModelTimes)
            except msgspec.DecodeError as error:
                raise DataError(f"{path}: the times of {model.name} are none: {error}") from error
            found[model_key(model.name, on.threads)] = times
    return found
