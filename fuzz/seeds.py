"""Where mutation starts from: one good input, or several, for each target."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Final

import msgspec

from shared import text_files

_ROOT: Final = Path(__file__).parents[1]
_GOLDEN: Final = _ROOT / "tests/golden"


def seeds(target: str) -> list[bytes]:
    """Return inputs that the decoder of a target accepts, and some that it nearly does."""
    if target in ("prompt", "result"):
        files = [*_GOLDEN.glob(f"{target}-*.msgpack"), *_GOLDEN.glob("notice-*.msgpack")]
        return [file.read_bytes() for file in files]
    if target == "row":
        return [msgspec.msgpack.encode(fields) for fields in _ROWS]
    if target == "settings":
        return [file.read_bytes() for file in sorted((_ROOT / "configs").glob("*.yaml"))]
    if target == "manifest":
        return [
            file.read_bytes() for file in sorted((_ROOT / "models/bundles").glob("*/bundle.yaml"))
        ]
    return _TEXTS[target]


_HOP: Final = {
    "tier": "device",
    "agent": "device-1",
    "confidence": 0.25,
    "threshold": 0.75,
    "elapsed_us": 900,
}
_ROWS: Final = (
    ["the valve sticks", "classify", 12.5, _HOP, False, [1, "negative"], 1, ["7", True]],
    ["the valve sticks", "classify", 12.5, _HOP, True, [1, "negative"], 2, None],
    ["write", "generate", 9.0, _HOP, True, [5, "so", "stop", 3, 1, False], 1, {"seed": 1}, None],
    [[4, [["PER", 0, 3, 0.5]]], [_HOP], ""],
    [[1, "positive"], [_HOP, _HOP | {"tier": "edge", "agent": "edge-1"}], ""],
    [[2, "model_failed", "it broke"], [], ""],
)
_AZURE: Final = (
    b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
    b"2023-11-16 18:15:46.6805900,374,44\n2024-05-10 00:00:00.5+02:00,396,109\n"
)
_SERVEGEN: Final = (
    b"window_start_s,client,rate_rps,distribution,shape,scale\n"
    b"0,a,1.5,Gamma,0.7,1.0\n10,b,0.5,Weibull,0.9,1.0\n"
)
_HASH: Final = "5f" * 32
_FILE: Final = {"name": "bundle.yaml", "sha256": _HASH, "size_bytes": 9, "chunks": "A" * 43 + "="}
_BUNDLE: Final = {
    "site": "plant", "name": "bag", "version": "2", "digest": _HASH, "serial": 7, "files": [_FILE],
}  # fmt: skip
_LESSON: Final = {
    "night": 7, "base": _HASH, "rows": _FILE, "warm": [_FILE],
    "recipe": {"steps": 9, "rank": 4, "learning_rate": 0.1, "new_rows": 4, "old_rows": 4,
               "shown_rows": 0},
    "bundle": {"task": "generate", "name": "bag", "version": "2", "precision": "int4",
               "confidence": "perplexity", "max_tokens": 64},
}  # fmt: skip
_TEXTS: Final = {
    "control": [
        b'{"tier":"edge","release":"1","bundles":[{"name":"bag","in_use":true}],"cores":4}',
        b'{"generation":7,"active":"ab","phase":"fetching","bytes_done":5,"bytes_total":9}',
        b'{"generation":7,"active":"ab","sources":["http://10.0.0.7:9/"],"reason":"pushed"}',
        b'{"kept":7,"escalated":3,"thresholds":{"classify":0.5},"temperature_c":null}',
        b'{"state":"online","epoch":5,"telemetry_s":2.0,"blobs":"http://10.0.0.1:8080"}',
        b'{"number":1,"sha256":"' + _HASH.encode() + b'","offset":0,"length":9}',
    ],
    "lesson": [
        msgspec.json.encode(_LESSON),
        msgspec.json.encode(
            {"night": 7, "lesson": _HASH, "stage": "taught", "bundle": [_FILE], "adapter": [_FILE]}
        ),
        msgspec.json.encode({"lesson": _HASH}),
    ],
    "shipped": [
        msgspec.json.encode(
            {"body": msgspec.json.encode(_BUNDLE).decode(), "key": "5f5f", "signature": "AAAA"}
        ),
    ],
    "status": [
        b'{"state":"offline","epoch":1760000000000}',
        b'{"state":"online","epoch":1,"tasks":["classify"],"model":"m"}',
        b'{"state":"online","epoch":1,"load":{"wait_ms":1.5,"service_ms":0.25},"heartbeat_s":5.0}',
    ],
    "topic": [
        b"recserve/v1/prompts/edge-1/classify/device-1",
        b"recserve/v1/prompts/cloud-1/classify/device-1/edge-1",
        b"recserve/v1/status/edge/edge-1",
        b"recserve/v1/prompts/+/tag/#",
    ],
    "ask": [
        b"the valve sticks",
        b'{"text":"the valve sticks","id":"7","task":"classify","timeout_s":2.5}',
    ],
    "tokenizer": [
        (
            b'{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":'
            b'{"type":"Lowercase"},"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,'
            b'"decoder":null,"model":{"type":"WordLevel","vocab":{"[UNK]":0,"good":1,"film":2},'
            b'"unk_token":"[UNK]"}}'
        ),
        (
            b'{"version":"1.0","normalizer":{"type":"Replace","pattern":{"Regex":"a+"},"content":"b"},'
            b'"pre_tokenizer":{"type":"Split","pattern":{"Regex":"\\\\s+"},"behavior":"Removed",'
            b'"invert":false},"model":{"type":"WordPiece","unk_token":"[UNK]",'
            b'"continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[UNK]":0,"g":1,'
            b'"##o":2}}}'
        ),
    ],
    "site": [
        b'{"hosts":["broker.example"],"port":8883,"root":"recserve","auth":"certificate"}',
        (
            b'{"hosts":["::1"],"port":1,"root":"a/b","auth":"password","known":[{"member":{"name":"pump-1",'
            b'"role":"device","reads":["factory/+/log"]},"verifier":{"password":"cA==","salt":"cw==",'
            b'"iterations":101}}],"revoked":["0f"]}'
        ),
    ],
    "desk": [
        b"recserve/v1/answers/device-1",
        b"recserve/v1/answers/device-1/me",
        b"recserve/v1/results/device-1",
        b"replies/of/mine",
    ],
    "trace": [
        b'{"timestamp": 3000, "input_length": 70.0, "output_length": 5, "hash_ids": [0, 1]}',
        b'{"at_s": 12.5, "device": "pump-3", "task": "tag", "text": "x", "priority": 1}',
        b'{"at_s": 1, "text": "x", "label": null, "input_tokens": 2.0}\n{"at_s": 2}',
        b"Timestamp;Model;Request tokens;Response tokens\r\n5;x;472;18\r\n45;x;1087;230\r\n",
        _SERVEGEN,
        _AZURE,
        _AZURE.decode().encode("utf-16"),
        gzip.compress(_AZURE, mtime=0),
        bz2.compress(_AZURE),
        lzma.compress(_AZURE),
        text_files.zstd.compress(_AZURE),  # type: ignore[attr-defined] # of one of two libraries
    ],
    "drawn": [
        b"poisson:rate=5,span=60",
        b"gamma:cv=2.5,rate=1",
        b"diurnal:period=600,depth=0.5,span=900",
    ],
    "labelled": [
        b'{"text": "it works", "label": 1}',
        b'{"text": "it leaks", "label": "negative"}\n{"text": "x", "label": 0.0}\n',
        b"text\tlabel\nit works\tpositive\nit leaks\t0\n",
        gzip.compress(b"label\ttext\r\n1.0\tit works\r\n", mtime=0),
    ],
    "tagged": [
        b"-DOCSTART- -X- O O\n\nAda NNP I-NP I-PER\nmet VBD I-VP O\nRome NNP I-NP B-LOC\n",
        gzip.compress(b"soup\tB-MEAL\n\nfilm\tO\n", mtime=0),
    ],
    "flag": [b"tier.policy.beta=0.2", b"model.labels=[a, b]", b"tier={name: device}"],
}
