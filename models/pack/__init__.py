"""Turn a Hugging Face classifier into a bundle: export, quantise, check, measure, seal.

Leaves out training (``models.train``) and serving (``shared.runtimes``). Needs what
``pip install -e ".[train]"`` brings.
"""

from models.pack.adding import HeadRequest
from models.pack.agreement import Bounds
from models.pack.command import main, refit
from models.pack.packing import pack

__all__ = ["Bounds", "HeadRequest", "main", "pack", "refit"]
