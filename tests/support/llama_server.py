"""llama.cpp's server with a tiny language model made on the spot, a process of its own.

``python -m tests.support.llama_server GGUF PORT [KEY]`` is that process.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from experiments.testbed.processes import free_port
from tests.support.processes import ROOT, listens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "tiny"
CONTEXT_TOKENS: Final = 512
_PLACES: Final = 4
_START_S: Final = 30.0
_END: Final = "<|im_end|>"
_SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", _END)
_TEMPLATE: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class LlamaServer:
    """The process, as tests see it."""

    def __init__(self, model: Path, key: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        program = (sys.executable, "-m", "tests.support.llama_server")
        self._command = [*program, str(model), str(self.port), *([key] if key else [])]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up_s = time.monotonic() + _START_S
        while not listens(self.port):
            assert self._process.poll() is None, "llama.cpp ended"
            assert time.monotonic() < give_up_s, "llama.cpp does not listen"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def llama_server(
    folder: Path, *, key: str = "", model: Path | None = None
) -> Iterator[LlamaServer]:
    """Run the server while the context lasts, with a tiny model unless another is named."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import xllamacpp"], capture_output=True, text=True, check=False
    )
    if loaded.returncode:
        last = loaded.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        pytest.skip(f"llama.cpp's server does not load here: {last[0]}")
    server = LlamaServer(model or write_gguf(folder / "tiny.gguf"), key)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def write_gguf(path: Path, *, seed: int = 5, weights: str = "F32") -> Path:
    """Write a Llama of width 64 that knows single bytes; random weights, but it prefers letters.

    ``weights`` is what its matrices are kept in: ``F32``, ``F16``, ``Q8_0``.
    """
    gguf = pytest.importorskip("gguf")
    numpy = pytest.importorskip("numpy")
    words = [*_byte_names(), "th", *_SPECIAL]
    width, inner, heads = 64, 128, 4
    draw = numpy.random.default_rng(seed)
    writer: Any = gguf.GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(width)
    writer.add_block_count(2)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types([1] * 257 + [3] * len(_SPECIAL))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(words.index("<|im_start|>"))
    writer.add_eos_token_id(words.index(_END))
    writer.add_add_bos_token(False)
    writer.add_chat_template(_TEMPLATE)

    kept = gguf.GGMLQuantizationType[weights]

    def add(name: str, values: Any) -> None:
        writer.add_tensor(name, gguf.quants.quantize(values, kept), raw_dtype=kept)

    def matrix(name: str, rows: int, columns: int) -> None:
        add(name, (draw.standard_normal((rows, columns)) * 0.2).astype(numpy.float32))

    matrix("token_embd.weight", len(words), width)
    said = draw.standard_normal((len(words), width)).astype(numpy.float32)
    letters = [ord(letter) for letter in "abcdefghijklmnopqrstuvwxyz "]
    said[[number for number in range(len(words)) if number not in letters]] *= 0.1
    add("output.weight", said)
    writer.add_tensor("output_norm.weight", numpy.ones(width, numpy.float32))
    for block in ("blk.0", "blk.1"):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", numpy.ones(width, numpy.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"{block}.{name}.weight", width, width)
        matrix(f"{block}.ffn_gate.weight", inner, width)
        matrix(f"{block}.ffn_up.weight", inner, width)
        matrix(f"{block}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _byte_names() -> list[str]:
    """Return the names that GPT-2's tokenizer has for the bytes, in their order."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def _main() -> None:
    import xllamacpp  # noqa: PLC0415 - optional

    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.model_alias = {NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[2])
    params.api_keys = sys.argv[3:]
    params.n_ctx = CONTEXT_TOKENS * _PLACES
    params.n_parallel = _PLACES
    params.cpuparams.n_threads = 1
    params.n_gpu_layers = 0
    params.use_jinja = True
    server = xllamacpp.Server(params)
    signal.pause()
    del server


if __name__ == "__main__":
    _main()
