"""Model folders: whatever is changed, nothing is loaded."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from kiemchung.errors import ModelError
from kiemchung.sealed import canonical_sha256
from models import registry


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    target = tmp_path / "model"
    shutil.copytree(registry.PLAIN, target)
    return target


def test_the_plain_model_verifies_and_loads(copy: Path) -> None:
    manifest = registry.verify(copy)
    assert manifest.kind == "comparison"
    assert registry.load(copy).model_id == manifest.model_id
    assert 0.5 <= manifest.threshold <= 1.0
    assert set(manifest.files) == {"comparison.json", "MODEL_CARD.md"}


def test_the_card_says_what_it_is_not(copy: Path) -> None:
    card = (copy / registry.CARD).read_text(encoding="utf-8")
    assert "no encoder" in card
    assert "VinAI" in card
    for source in registry.verify(copy).trained_on:
        assert source in card


@pytest.mark.parametrize("name", ["comparison.json", "MODEL_CARD.md", "manifest.json"])
def test_every_flipped_bit_is_found(copy: Path, name: str) -> None:
    path = copy / name
    whole = path.read_bytes()
    r = random.Random(name)
    for _ in range(200):
        at, bit = r.randrange(len(whole)), 1 << r.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        with pytest.raises(ModelError, match=r"json|MODEL_CARD"):
            registry.load(copy)
    path.write_bytes(whole)
    registry.load(copy)


@pytest.mark.parametrize("name", ["comparison.json", "MODEL_CARD.md", "manifest.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name.split(".")[0]):
        registry.verify(copy)


def test_a_file_that_was_slipped_in_is_named(copy: Path) -> None:
    (copy / "weights.pkl").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match=r"weights\.pkl"):
        registry.verify(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [("threshold", 0.1), ("label_order", ["REFUTED", "SUPPORTED", "NOT_ENOUGH_INFO"]),
     ("kind", "pickle"), ("format", 2)],
)  # fmt: skip
def test_a_manifest_edited_by_hand_is_refused(copy: Path, key: str, value: object) -> None:
    path = copy / registry.MANIFEST
    body = json.loads(path.read_text(encoding="utf-8"))
    body[key] = value
    path.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match="changed after"):
        registry.verify(copy)
    del body["manifest_sha256"]  # with a hash made to fit, the value itself is refused
    body["manifest_sha256"] = canonical_sha256(body)
    path.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    with pytest.raises(ModelError):
        registry.verify(copy)


def test_a_name_cannot_leave_the_folder(copy: Path) -> None:
    path = copy / registry.MANIFEST
    body = json.loads(path.read_text(encoding="utf-8"))
    del body["manifest_sha256"]
    body["files"]["../outside"] = "0" * 64
    body["manifest_sha256"] = canonical_sha256(body)
    path.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match="leaves the folder"):
        registry.verify(copy)


def test_weights_for_other_features_are_refused(copy: Path) -> None:
    text = (copy / "comparison.json").read_text(encoding="utf-8")
    files = {
        "comparison.json": text.replace('"coverage"', '"cover"', 1).encode("utf-8"),
        "MODEL_CARD.md": (copy / "MODEL_CARD.md").read_bytes(),
    }
    registry.write(copy, registry.verify(copy), files)
    with pytest.raises(ModelError, match="other features"):
        registry.load(copy)


def test_a_cut_off_write_leaves_no_model(copy: Path, tmp_path: Path) -> None:
    manifest = registry.verify(copy)

    class Full(dict[str, bytes]):
        def items(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            yield "comparison.json", b"{}"
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        registry.write(copy, manifest, Full())
    with pytest.raises(ModelError, match="no model here"):
        registry.load(copy)


def test_available_lists_good_and_broken_models(tmp_path: Path) -> None:
    shutil.copytree(registry.PLAIN, tmp_path / "good")
    shutil.copytree(registry.PLAIN, tmp_path / "bad")
    (tmp_path / "bad" / "comparison.json").write_text("{}", encoding="utf-8")
    (tmp_path / "no-model").mkdir()
    found = registry.available(tmp_path)
    assert list(found) == ["bad", "good"]
    assert isinstance(found["bad"], ModelError)
    assert isinstance(found["good"], registry.Manifest)
    assert registry.available(tmp_path / "nowhere") == {}


# --- what ships -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("shipped") / "model"
    shutil.copytree(registry.DEFAULT, target)
    return target


def test_the_shipped_model_is_an_encoder_that_beats_the_comparison(shipped: Path) -> None:
    manifest = registry.verify(shipped)
    assert manifest.kind == "encoder"
    assert manifest.metrics["beats_comparison"]
    assert 0.5 <= manifest.threshold <= 0.93  # above it no rule's finding could be shown
    assert sum(p.stat().st_size for p in shipped.iterdir()) <= 40_000_000
    people = manifest.metrics["labelled_by_people"]
    for form in ("short", "long"):
        assert people[form]["joined_macro_f1"]["mean"] > people[form]["comparison_macro_f1"]["mean"]


def test_the_shipped_card_says_what_it_is_made_of(shipped: Path) -> None:
    card = (shipped / registry.CARD).read_text(encoding="utf-8")
    assert "holds no weights of VinAI's" in card
    assert "multilingual-e5-small" in card
    for source in registry.verify(shipped).trained_on:
        assert source in card


def test_every_flipped_bit_of_the_shipped_files_is_found(shipped: Path) -> None:
    r = random.Random(5)
    for path in sorted(shipped.iterdir()):
        whole = bytearray(path.read_bytes())
        for _ in range(12):
            at, bit = r.randrange(len(whole)), 1 << r.randrange(8)
            whole[at] ^= bit
            path.write_bytes(whole)
            with pytest.raises(ModelError):
                registry.verify(shipped)
            whole[at] ^= bit
        path.write_bytes(whole)
    registry.verify(shipped)


def test_a_missing_file_of_the_shipped_model_is_named(shipped: Path) -> None:
    for path in sorted(shipped.iterdir()):
        moved = path.rename(shipped.parent / path.name)
        with pytest.raises(ModelError):
            registry.verify(shipped)
        moved.rename(path)
    registry.verify(shipped)
