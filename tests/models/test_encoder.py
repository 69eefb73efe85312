"""The encoder path on a tiny random checkpoint in PhoBERT's format, through the real code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import LABEL_ORDER, Label
from kiemchung.errors import InputError, ModelError
from models import calibration, construct, encoder, joining, registry
from models.encoder import FORMS, FUSED
from models.finetune import Recipe
from models.tokenizer import PhobertBpe
from models.train import Data
from tests.models.toys import SENTENCES, toy_data, toy_pairs

pytestmark = pytest.mark.slow

WRONG_NUMBER = (
    "digits_missing_whole", "digit_swapped", "number_misplaced", "numbers_contradicting",
)  # fmt: skip

QUICK = Recipe(steps=4, batch_tokens=400, seed=1, threads=1)


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Path:
    return tiny_checkpoint


@pytest.fixture(scope="module")
def data() -> Data:
    return toy_data()


@pytest.fixture(scope="module", params=["float32", "int8"])
def folder(request: pytest.FixtureRequest, tiny_models: Mapping[str, Path]) -> Path:
    return tiny_models[request.param]


def _human(n: int, words: int = 0) -> tuple[construct.Pair, ...]:
    """Pairs of ``n`` source texts, three a text, with evidence longer by so many words."""
    return tuple(
        construct.Pair(
            claim=p.claim, evidence=p.evidence + " thêm" * words, label=p.label, kind="human",
            group=f"text{k}",
        )
        for k in range(n)
        for p in toy_pairs()[:3]
    )  # fmt: skip


def _table(pairs: tuple[construct.Pair, ...], *, seed: int) -> joining.Table:
    """Values in which the label stands plainly, and noise."""
    y = np.array([list(LABEL_ORDER).index(p.label) for p in pairs], dtype=np.int64)
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(len(pairs), len(FUSED)))
    x[np.arange(len(y)), y] += 3.0
    x[np.arange(len(y)), 5 + y] += 1.0
    for name in WRONG_NUMBER:
        x[:, FUSED.index(name)] = 0.0
    return joining.Table(x=x, y=y)


def test_pairs_labelled_by_people_weigh_more_and_are_reported_by_folds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joining, "REPEATS", 2)
    made, human = _human(40), (*_human(30), *_human(30, words=200))
    joined = joining.join(_table(made, seed=1), made, _table(human, seed=2), human)
    short, long = joined.rows["short"], joined.rows["long"]
    assert int(short.tuned.sum()) == int(long.tuned.sum()) == 90
    assert set(short.weight[short.tuned]) == {joining.TUNE_WEIGHT["short"]}
    assert set(short.weight[~short.tuned]) == {1.0}
    whole = joining.on_people(joined, threshold=0.5)
    assert whole["beats_comparison"] is True  # the labels stand plainly in the encoder's values
    assert whole["chance_that_it_does_not"] < 0.05
    found = whole["labelled_by_people"]
    for form in FORMS:
        assert found[form]["pairs"] == 90
        assert found[form]["texts"] == 30
        assert found[form]["joined_macro_f1"]["mean"] > 0.85
        assert found[form]["encoder_macro_f1"]["mean"] > found[form]["comparison_macro_f1"]["mean"]
        assert 0.0 <= found[form]["ece"]["mean"] < 0.2
        assert found[form]["zero_shot_macro_f1"] > 0.8
        assert found[form]["zero_shot_flags_right"] <= found[form]["zero_shot_flags"] <= 90
        assert found[form]["flags_right"]["mean"] <= found[form]["flags"]["mean"]


def test_no_row_is_judged_by_a_layer_that_saw_its_text() -> None:
    """Labels that only the text's name could give away stay at chance."""
    draw = np.random.default_rng(0)
    groups = tuple(f"g{i // 6}" for i in range(300))
    y = draw.integers(0, 3, size=50).repeat(6)
    x = np.zeros((300, len(FUSED)))
    x[np.arange(300), [int(g[1:]) % len(FUSED) for g in groups]] = 1.0 + y  # names the text
    rows = joining.Rows(
        x=x[:, :8] + draw.normal(size=(300, 8)) * 0.01, y=y, groups=groups, kinds=("",) * 300,
        weight=np.ones(300), tuned=np.ones(300, dtype=np.bool_),
    )  # fmt: skip
    out = joining.out_of_fold(rows)
    assert (out.argmax(axis=1) == y).mean() < 0.6


def test_a_layer_is_less_sure_when_a_kind_that_it_never_saw_would_have_misled_it() -> None:
    """The third kind turns the marks of the others round; only marks of its own tell which."""
    draw = np.random.default_rng(0)
    y = draw.integers(0, 3, size=600)
    other = np.arange(600) % 3 == 2
    x = np.zeros((600, 6))
    x[np.arange(600), np.where(other, (y + 1) % 3, y)] = 1.0
    x[other, 3 + y[other]] = 3.0
    kinds = tuple("other" if o else f"k{i % 3}" for i, o in enumerate(other))
    rows = joining.Rows(
        x=x, y=y, groups=tuple(f"g{i // 3}" for i in range(600)), kinds=kinds,
        weight=np.ones(600), tuned=np.zeros(600, dtype=np.bool_),
    )  # fmt: skip
    known = joining.out_of_fold(rows)
    assert (known.argmax(axis=1) == y).all(), "by texts it looks perfect"
    factors, shifts = joining.scaling_for_others(rows)
    by_text = 1.0 / calibration.fit_temperature(known, y)
    assert factors[0] == factors[1] == factors[2] < by_text / 2
    assert not shifts.any()
    # One kind alone cannot be left out: then it is by texts.
    alone, _ = joining.scaling_for_others(replace(rows, kinds=("k",) * 600))
    assert alone[0] == pytest.approx(by_text)


def test_without_such_pairs_nothing_is_reported() -> None:
    made = _human(40)
    joined = joining.join(_table(made, seed=1), made)
    assert joining.tuned_report(joined, threshold=0.5) == {}
    assert joining.on_people(joined, threshold=0.5) == {}


def test_it_loads_through_the_registry_and_answers(folder: Path) -> None:
    model = registry.load(folder)
    verdict = model.judge(SENTENCES[0], SENTENCES[0])
    assert verdict.error == ""
    assert sum((verdict.p_supported or 0, verdict.p_refuted or 0, verdict.p_nei or 0)) == (
        pytest.approx(1.0)
    )
    manifest = registry.verify(folder)
    assert manifest.kind == "encoder"
    assert manifest.model_id == model.model_id
    assert set(manifest.files) == {
        "encoder.onnx", "encoder.onnx.data", "vocab.txt", "bpe.codes", "fusion.json", "MODEL_CARD.md",
    }  # fmt: skip


def test_the_manifest_says_what_each_part_is_worth(folder: Path) -> None:
    manifest = registry.verify(folder)
    metrics = manifest.metrics
    assert isinstance(metrics["beats_comparison"], bool)
    for part in ("encoder_alone", "comparison_alone", "joined"):
        assert 0.0 <= metrics[f"{part}_macro_f1"] <= 1.0
    assert metrics["export_gap"] <= 1e-4
    assert set(manifest.calibration["conformal"]) == {"SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO"}
    if manifest.precision == "int8":
        assert metrics["int8_largest_drift"] > 0.0
        assert metrics["int8_pairs"] == len(toy_pairs())
        assert 0 <= metrics["int8_flips_near_threshold"] <= metrics["int8_pairs"]
    else:
        assert "int8_pairs" not in metrics


def test_a_verdict_does_not_depend_on_its_neighbours(folder: Path) -> None:
    model = registry.load(folder)
    assert isinstance(model, encoder.EncoderModel)
    pairs = [(p.claim, p.evidence) for p in toy_pairs()]
    alone = [registry.load(folder).judge(*pairs[i]) for i in (0, 5, 11)]
    listed = [model.judge(*pair) for pair in reversed(pairs)][::-1]
    assert [listed[i] for i in (0, 5, 11)] == alone
    assert np.array_equal(model.encoded(*pairs[2]), model.encoded(*pairs[2]))


def test_logits_equal_torch_before_and_after_the_export(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    net, bpe, _ = joining.load_encoder(str(checkpoint), 3)
    net.train()  # a forgotten eval() must not reach the file
    gap = joining.export(net, tmp_path / "x.onnx", longest=128)
    assert gap <= 1e-4
    net.eval()
    session = encoder.open_session(tmp_path / "x.onnx")
    for claim, evidence in ((SENTENCES[0], SENTENCES[1]), (SENTENCES[5], " ".join(SENTENCES))):
        read = encoder.sequences(bpe, claim, evidence, longest=128)
        for ids, types in zip(read.ids, read.types, strict=True):
            with torch.no_grad():
                out = net(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]))
            ours = encoder.onnx_logits(session, ids, types)
            assert np.abs(ours - out.logits[0].numpy()).max() < 1e-4


def test_scoring_needs_neither_torch_nor_sklearn_nor_a_network(folder: Path) -> None:
    code = (
        "import sys\n"
        "def no_network(event, _):\n"
        "    if event.startswith('socket.'): raise OSError(event)\n"
        "sys.addaudithook(no_network)\n"
        "for name in ('torch', 'transformers', 'sklearn'): sys.modules[name] = None\n"
        "from pathlib import Path; from models import registry\n"
        f"m = registry.load(Path({str(folder)!r}))\n"
        "from models.encoder import onnx_logits\n"
        "from models.marks import marks\n"
        "ids = m.bpe.encode_pair('hợp_tác_xã cần 5 thành_viên', 'hợp_tác_xã').ids\n"
        "print(onnx_logits(m.session, ids, marks(m.bpe, ids)).shape)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.stdout.strip() == "(3,)", done.stdout + done.stderr


def test_an_article_is_read_to_its_end_and_not_cut(checkpoint: Path) -> None:
    bpe = PhobertBpe.of_folder(checkpoint)
    filler = [f"Bà con ở xã số {i} vừa thu hoạch xong vụ lúa của năm nay." for i in range(60)]
    article = " ".join([*filler, SENTENCES[2]])
    assert len(article.split()) > 600
    read = encoder.sequences(bpe, SENTENCES[2], article, longest=128)
    assert 2 <= len(read.ids) <= encoder.PASSAGES
    assert all(len(ids) <= 128 for ids in read.ids)
    assert all(len(a) == len(b) for a, b in zip(read.ids, read.types, strict=True))
    assert SENTENCES[2] in encoder.passages_of(SENTENCES[2], article, words=60)[0]
    short = encoder.passages_of(SENTENCES[0], SENTENCES[1], words=60)
    assert short == [SENTENCES[1]]


def test_one_passage_that_speaks_is_enough() -> None:
    logits = np.array([[0.0, 0.0, 2.0], [0.0, 5.0, 1.0], [3.0, 0.0, 1.0]])
    assert encoder.gathered(logits).tolist() == [0.0, 0.0, 2.0, 2.0, 4.0]


def test_evidence_of_a_hundred_thousand_words_and_none_at_all(folder: Path) -> None:
    model = registry.load(folder)
    long = model.judge(SENTENCES[0], f"{SENTENCES[1]} " * 10_000)
    assert long.error == ""
    empty = model.judge(SENTENCES[0], "  ")
    assert empty.label is Label.NOT_ENOUGH_INFO
    assert empty.p_nei == 1.0


def test_another_architecture_is_refused_by_name(
    checkpoint: Path, data: Data, tmp_path: Path
) -> None:
    import json
    import shutil

    broken = tmp_path / "bert"
    shutil.copytree(checkpoint, broken)
    body = json.loads((broken / "config.json").read_text(encoding="utf-8"))
    (broken / "config.json").write_text(
        json.dumps(body | {"model_type": "distilbert", "architectures": ["DistilBertModel"]}),
        encoding="utf-8",
    )
    with pytest.raises(ModelError, match="a distilbert checkpoint"):
        joining.train_verdict(tmp_path / "out", data, encoder=str(broken), recipe=QUICK)
    (broken / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        joining.train_verdict(tmp_path / "out", data, encoder=str(broken), recipe=QUICK)


def test_a_model_for_other_marks_or_features_is_refused(folder: Path, tmp_path: Path) -> None:
    import json

    body = json.loads((folder / "fusion.json").read_text(encoding="utf-8"))
    manifest = registry.verify(folder)
    for change, told in (
        ({"marks": 2}, "made for 2 marks"),
        ({"features": ["a"]}, "other features"),
        ({"labels": ["REFUTED", "SUPPORTED", "NOT_ENOUGH_INFO"]}, "label order"),
        ({"vocabulary": 3}, "embedding has 3 rows"),
        ({"layers": {f: body["layers"][f] | {"mean": [0.0]} for f in FORMS}}, "wrong shapes"),
        ({"layers": {"short": body["layers"]["short"]}}, "'long'"),
    ):
        (tmp_path / "fusion.json").write_text(json.dumps(body | change), encoding="utf-8")
        for name in ("vocab.txt", "bpe.codes", "encoder.onnx", "encoder.onnx.data"):
            (tmp_path / name).write_bytes((folder / name).read_bytes())
        with pytest.raises(ModelError, match=told):
            encoder.EncoderModel.load(tmp_path, manifest)


def test_no_sequence_is_padded_and_none_is_longer_than_the_model(checkpoint: Path) -> None:
    bpe = PhobertBpe.of_folder(checkpoint)
    read = encoder.sequences(bpe, "Có 5 thành viên.", "Cần 5 thành viên.")
    assert 1 not in read.ids[0]
    cut = encoder.sequences(bpe, SENTENCES[0], "\n".join(SENTENCES) * 40, longest=64)
    assert max(map(len, cut.ids)) <= 64


def test_a_vocabulary_larger_than_the_embedding_is_refused(
    checkpoint: Path, data: Data, tmp_path: Path
) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    with (broken / "vocab.txt").open("a", encoding="utf-8") as out:
        out.write("".join(f"thừa{i} 1\n" for i in range(50)))
    with pytest.raises(ModelError, match="embedding"):
        joining.train_verdict(tmp_path / "out", data, encoder=str(broken), recipe=QUICK)


def test_an_encoder_that_is_not_there_names_itself(data: Data, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no vocabulary"):
        joining.train_verdict(tmp_path / "out", data, encoder=str(tmp_path / "empty"), recipe=QUICK)


def test_too_few_pairs_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    none = Data(train=(), calibration=(), report=(), names=())
    with pytest.raises(InputError, match="too few"):
        joining.train_verdict(tmp_path / "out", none, encoder=str(checkpoint), recipe=QUICK)


def test_a_failure_inside_is_a_failed_verdict_not_a_low_score(folder: Path) -> None:
    import dataclasses

    model = registry.load(folder)
    assert isinstance(model, encoder.EncoderModel)
    broken = dataclasses.replace(model, session=None)
    verdict = broken.judge(SENTENCES[0], SENTENCES[1])
    assert verdict.label is None
    assert verdict.p_refuted is None
    assert "AttributeError" in verdict.error


def test_the_card_names_what_an_own_encoder_was_pretrained_on(tmp_path: Path) -> None:
    import json

    assert joining.sources_of("vinai/phobert-base") == ("encoder vinai/phobert-base",)
    assert joining.sources_of(str(tmp_path)) == (f"encoder {tmp_path.name}",)
    body = {
        "plan": {"shape": {"layers": 4, "width": 256}, "tokens": 50_000_000},
        "held_out_perplexity": 47.4,
        "sources": ["statutes.txt: 9 blocks"],
    }
    (tmp_path / "pretraining.json").write_text(json.dumps(body), encoding="utf-8")
    first, second = joining.sources_of(str(tmp_path))
    assert "4x256, 50 M tokens" in first
    assert "47.4" in first
    assert second == "pretraining text: statutes.txt: 9 blocks"


@given(
    st.lists(st.floats(-9, 9), min_size=3, max_size=3),
    st.floats(0, 3).map(lambda v: 0.0 if v < 1 else v),
    st.sampled_from(WRONG_NUMBER),
)
def test_a_number_that_is_not_there_is_never_borne_out(
    logits: list[float], missing: float, name: str
) -> None:
    x = np.zeros(len(FUSED))
    x[FUSED.index(name)] = missing
    given_ = np.array(logits)
    found = encoder.held_back(x, given_)
    assert (found[1:] == given_[1:]).all()
    if missing:
        assert found[0] <= max(found[1], found[2]) - encoder.MARGIN + 1e-9
        assert found[0] <= given_[0]
    else:
        assert found[0] == given_[0]
    both = encoder.held_back(np.stack([x, np.zeros(len(FUSED))]), np.stack([given_, given_]))
    assert (both[0] == found).all()
    assert (both[1] == given_).all()
