"""The models that ONNX Runtime runs, one for each task that a bundle may be for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import BundleError
from shared.runtimes.bundle import Bundle, check_runtime
from shared.runtimes.onnx_classifier import OnnxClassifier
from shared.runtimes.onnx_tagger import OnnxTagger

if TYPE_CHECKING:
    from shared.runtimes.model import Model
    from shared.runtimes.model_settings import ModelSettings


def open_onnx(settings: ModelSettings) -> Model:
    """Load the bundle that the settings name for the task that it says. Raises ``BundleError``."""
    bundle = Bundle.open(settings.source)
    check_runtime(bundle, "onnx")
    match bundle.manifest.task:
        case "classify":
            return OnnxClassifier(bundle, settings)
        case "tag":
            return OnnxTagger(bundle, settings)
        case task:
            raise BundleError(f"{bundle.folder}: is for {task}, which the runtime onnx cannot do")
