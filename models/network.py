"""An exported encoder as a torch network: its tensors read from the ONNX file, its forward pass.

ONNX initialisers are plain tensors, so nothing runs when they are read. An export folds the weight
of a linear layer into a nameless, transposed matrix; the name of the node that multiplies by it
says which layer it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from kiemchung.errors import InputError, ModelError
from models.tokenizer import PAD

if TYPE_CHECKING:
    import torch

_MATMUL: Final = re.compile(r"^/(.+)/(?:MatMul|Gemm)(?:_\d+)?(?:_quant|_MatMul_quant)?$")
_REMEDY: Final = "score it on the CPU (--device cpu), or train it again"


def not_installed(error: ImportError) -> InputError:
    """Return what is said when torch or onnx is missing."""
    return InputError(
        f"{error.name} is not installed",
        where="--device",
        remedy="install the train extra (see CONTRIBUTING), or score on the CPU with --device cpu",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What an exported RoBERTa is made of: its tensors by PhoBERT's names, and its shape."""

    tensors: Mapping[str, NDArray[np.float32]]
    layers: int
    heads: int
    epsilon: float


def read_weights(path: Path) -> Weights:
    """Return the weights of an exported encoder; int8 ones as the floats that they stand for.

    Raises:
        ModelError: the graph is not that of a RoBERTa classifier as this program exports it.
        InputError: the `onnx` package is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise not_installed(error) from error
    try:
        graph = onnx.load(str(path)).graph
        raw = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        tensors = {_plain(name): _floats(raw, name) for name in raw if _is_weight(name)}
        for node in graph.node:
            found = _MATMUL.match(node.name)
            if found is None or len(node.input) < 2 or node.input[1] not in raw:
                continue
            name = _plain(found[1].replace("/", ".")) + ".weight"
            matrix = _floats(raw, node.input[1])
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            tensors[name] = matrix if turned else np.ascontiguousarray(matrix.T)
        if not any(node.op_type == "Erf" for node in graph.node):
            raise ValueError("another activation than gelu")
        wide = tensors["roberta.embeddings.word_embeddings.weight"].shape[1]
        layers = len({n.split(".")[3] for n in tensors if n.startswith("roberta.encoder.layer.")})
        weights = Weights(
            tensors=tensors,
            layers=layers,
            heads=wide // _head_width(graph),
            epsilon=_epsilon(graph),
        )
        missing = [name for name in _names(layers) if name not in tensors]
        if missing or not layers:
            raise ValueError(f"{len(missing)} tensors are missing, the first {missing[:1]}")
    except (OSError, KeyError, ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"no RoBERTa classifier of this program: {error}", where=str(path), remedy=_REMEDY
        ) from error
    return weights


def _is_weight(name: str) -> bool:
    return name.startswith("inner.") and not name.endswith(("_scale", "_zero_point"))


def _plain(name: str) -> str:
    return name.removeprefix("inner.").removesuffix("_quantized").removesuffix("_Transposed")


def _floats(raw: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Return a tensor as float32, an int8 one by its scale and zero point."""
    stem = name.removesuffix("_quantized")
    values = raw[name].astype(np.float32)
    if stem != name:
        zero = raw[f"{stem}_zero_point"].astype(np.float32)
        values = (values - zero) * raw[f"{stem}_scale"].astype(np.float32)
    return np.ascontiguousarray(values)


def _head_width(graph: Any) -> int:  # noqa: ANN401  onnx has no types
    """Return the width of one head: the last figure of the shape that queries are cut into."""
    from onnx import numpy_helper

    made = {out: node for node in graph.node for out in node.output}
    query = next(
        n for n in graph.node
        if n.op_type == "Reshape" and n.input[0].endswith("/attention/self/query/Add_output_0")
    )  # fmt: skip
    shape = made[query.input[1]]
    last = made[shape.input[-1]] if shape.op_type == "Concat" else shape
    value = next(a.t for a in last.attribute if a.name == "value")
    return int(np.atleast_1d(numpy_helper.to_array(value))[-1])


def _epsilon(graph: Any) -> float:  # noqa: ANN401
    node = next(n for n in graph.node if n.op_type == "LayerNormalization")
    return float(next(a.f for a in node.attribute if a.name == "epsilon"))


def _names(layers: int) -> Iterator[str]:
    """Yield the name of every tensor that `logits` reads."""
    for table in ("word", "position", "token_type"):
        yield f"roberta.embeddings.{table}_embeddings.weight"
    parts = ["roberta.embeddings.LayerNorm", "classifier.dense", "classifier.out_proj"]
    for i in range(layers):
        at = f"roberta.encoder.layer.{i}"
        parts += [f"{at}.attention.self.{x}" for x in ("query", "key", "value")]
        parts += [f"{at}.attention.output.{x}" for x in ("dense", "LayerNorm")]
        parts += [f"{at}.intermediate.dense", f"{at}.output.dense", f"{at}.output.LayerNorm"]
    for part in parts:
        yield f"{part}.weight"
        yield f"{part}.bias"


# --- the network ----------------------------------------------------------------------------------


def logits(
    weights: Weights,
    tensors: Mapping[str, torch.Tensor],
    ids: torch.Tensor,
    types: torch.Tensor,
) -> torch.Tensor:
    """Return the logits (batch, 3) of padded sequences (batch, length); `PAD` ids are masked."""
    from torch.nn import functional as f

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return f.linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return f.layer_norm(x, (x.shape[-1],), scale, shift, weights.epsilon)

    real = ids != PAD
    places = real.long().cumsum(1) * real + PAD
    at = "roberta.embeddings"
    x = (
        f.embedding(ids, tensors[f"{at}.word_embeddings.weight"])
        + f.embedding(types, tensors[f"{at}.token_type_embeddings.weight"])
        + f.embedding(places, tensors[f"{at}.position_embeddings.weight"])
    )
    x = normed(x, f"{at}.LayerNorm")
    rows, length, wide = x.shape
    mask = real[:, None, None, :]

    def heads(y: torch.Tensor) -> torch.Tensor:
        return y.view(rows, length, weights.heads, -1).transpose(1, 2)

    for i in range(weights.layers):
        at = f"roberta.encoder.layer.{i}"
        query, key, value = (
            heads(linear(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value")
        )
        mixed = f.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(rows, length, wide)
        x = normed(
            x + linear(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        inner = f.gelu(linear(x, f"{at}.intermediate.dense"))
        x = normed(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    first = linear(x[:, 0], "classifier.dense").tanh()
    return linear(first, "classifier.out_proj")
