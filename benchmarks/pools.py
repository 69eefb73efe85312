"""Pools of labelled pairs as the heads of the model see them, worked out once and kept.

A pool is a public set. Its values are what the shipped model's layer reads (five of the encoder and
the comparison's); beside them stands the encoder's own vector of the pair (384 values), for
diversity and for wider heads.

    python benchmarks/pools.py --data DATA --out FOLDER [--limit N] [--constructed N]

DATA holds ``verdicts/`` and ``corpus/``. Scoring 13,000 pairs takes minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiemchung.domain import LABEL_ORDER, digest, sha256_hex
from models import construct, registry
from models.comparison import features
from models.encoder import ONNX_FILE, WEIGHTS_FILE, EncoderModel, gathered, open_session, sequences

POOLED = "/inner/classifier/Gather_output_0"  # the first token behind the last layer
SEED = 20_260


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Labelled pairs: values (n, 53), vectors (n, width), labels (n,), source texts (n,)."""

    name: str
    x: NDArray[np.float64]
    vectors: NDArray[np.float32]
    y: NDArray[np.int64]
    groups: NDArray[np.str_]
    sha256: str

    def where(self, kept: NDArray[Any]) -> Pool:
        """Return some of the rows."""
        return Pool(
            name=self.name, x=self.x[kept], vectors=self.vectors[kept], y=self.y[kept],
            groups=self.groups[kept], sha256=self.sha256,
        )  # fmt: skip


def read_pools(data: Path, *, constructed: int) -> dict[str, list[construct.Pair]]:
    """Return the pairs of every public set by name, and fresh constructed ones."""
    folder = data / "verdicts"
    found = {
        "vifactcheck": construct.read_pairs(folder / "vifactcheck_dev_a.jsonl"),
        "vifactcheck_article": construct.read_pairs(
            folder / "vifactcheck_dev_a.jsonl", field="context"
        ),
        "xnli": construct.read_pairs(folder / "xnli_vi_test.jsonl"),
        "vihallu": construct.read_pairs(folder / "vihallu.jsonl"),
    }
    if constructed:
        texts = construct.read_texts(data / "corpus", limit=constructed // 5, seed=SEED)
        made = construct.pairs_of_texts(texts, construct.Rewriter(SEED), per_text=6)
        found["constructed"] = made[:constructed]
    return found


def session_with_vectors(folder: Path) -> Any:  # noqa: ANN401
    """Return a session of a model folder that also answers the encoder's vector."""
    import onnx

    graph = onnx.load(str(folder / ONNX_FILE), load_external_data=False)
    graph.graph.output.append(
        onnx.helper.make_tensor_value_info(POOLED, onnx.TensorProto.FLOAT, None)
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / ONNX_FILE
        onnx.save(graph, str(path))
        (Path(scratch) / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes())
        return open_session(path)


def pool_of(name: str, pairs: Sequence[construct.Pair], folder: Path) -> Pool:
    """Score ``pairs`` one sequence at a time, as they are scored at work."""
    model = registry.load(folder)
    assert isinstance(model, EncoderModel)
    session = session_with_vectors(folder)
    rows, vectors = [], []
    for p in pairs:
        read = sequences(model.bpe, p.claim, p.evidence, longest=model.longest)
        logits = []
        for number, (ids, types) in enumerate(zip(read.ids, read.types, strict=True)):
            given = {
                "input_ids": np.array([ids], dtype=np.int64),
                "token_type_ids": np.array([types], dtype=np.int64),
            }
            out, vector = session.run(["logits", POOLED], given)
            logits.append(np.asarray(out[0], dtype=np.float64))
            if number == 0:
                vectors.append(np.asarray(vector[0], dtype=np.float32))
        rows.append(np.concatenate([gathered(np.stack(logits)), features(p.claim, p.evidence)]))
    told = "\n".join(digest(p.claim, p.evidence, str(p.label)) for p in pairs)
    return Pool(
        name=name,
        x=np.array(rows),
        vectors=np.array(vectors),
        y=np.array([LABEL_ORDER.index(p.label) for p in pairs], dtype=np.int64),
        groups=np.array([p.group for p in pairs]),
        sha256=sha256_hex(told.encode("utf-8")),
    )


def save(pool: Pool, folder: Path) -> None:
    """Write one pool as ``name.npz``."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / f"{pool.name}.npz", x=pool.x, vectors=pool.vectors, y=pool.y, groups=pool.groups,
        sha256=np.array(pool.sha256),
    )  # fmt: skip


def load(folder: Path, name: str) -> Pool:
    """Read a pool back; nothing in it is a pickle."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as found:
        return Pool(
            name=name, x=found["x"], vectors=found["vectors"], y=found["y"],
            groups=found["groups"], sha256=str(found["sha256"]),
        )  # fmt: skip


def main() -> None:
    """Score the sets that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=0, help="pairs of a set at most; 0: all")
    parser.add_argument("--constructed", type=int, default=4_000)
    parser.add_argument("--model", type=Path, default=registry.DEFAULT)
    given = parser.parse_args()
    for name, pairs in read_pools(given.data, constructed=given.constructed).items():
        if not (given.out / f"{name}.npz").is_file():
            save(pool_of(name, pairs[: given.limit or None], given.model), given.out)
        pool = load(given.out, name)
        counts = np.bincount(pool.y, minlength=3).tolist()
        row = {"set": name, "n": len(pool.y), "labels": counts, "groups": len(set(pool.groups))}
        print(json.dumps(row | {"sha256": pool.sha256[:12]}), flush=True)


if __name__ == "__main__":
    main()
