"""Constructed pairs and the training script, from passages and a small corpus to a model folder."""

from __future__ import annotations

import json
import lzma
import random
from pathlib import Path

import numpy as np
import pytest

from kiemchung import reference
from kiemchung.domain import Label
from kiemchung.errors import InputError, RecordError
from models import construct, registry, train
from models.construct import Rewriter
from models.cues import normal

PLACES = ("Bản Cao", "Tân Hòa", "Phú Lộc", "Đông Xuyên", "Sơn Hạ", "Bình Trung")
THINGS = ("chè", "lúa", "cà phê", "cam", "rau", "tôm")


def _article(seed: int) -> str:
    r = random.Random(seed)
    lines = []
    for _ in range(9):
        place, thing = r.choice(PLACES), r.choice(THINGS)
        lines.append(
            f"Năm {r.randint(2015, 2025)}, hợp tác xã ở xã {place} đã trồng {r.randint(11, 98)} ha "
            f"{thing}, "
            f"bán được {r.randint(100, 990)} tấn, thu về khoảng {r.randint(2, 90)} tỷ đồng."
        )
    return "\n".join(lines)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("\n\n".join(_article(i) for i in range(40)), encoding="utf-8")
    with lzma.open(folder / "b.txt.xz", "wt", encoding="utf-8") as out:
        out.write(
            "\n\n".join(_article(i).replace("hợp tác xã", "hợp_tác_xã") for i in range(40, 60))
        )
    (folder / "c.jsonl").write_text(
        "".join(
            json.dumps({"body": _article(i)}, ensure_ascii=False) + "\n" for i in range(60, 70)
        ),
        encoding="utf-8",
    )
    return folder


def test_segmented_text_is_written_as_in_a_newspaper() -> None:
    line = 'Ông nói : " Hợp_tác_xã bán 5 tấn ( cam ) , thu 8,5 triệu . "'
    assert construct.plain(line) == 'Ông nói: "Hợp tác xã bán 5 tấn (cam), thu 8,5 triệu."'


def test_every_file_of_a_corpus_is_read(corpus: Path) -> None:
    texts = construct.read_texts(corpus, limit=60)
    assert len(texts) == 60
    assert not any("_" in text for text in texts)
    assert texts == construct.read_texts(corpus, limit=60)


def test_pairs_are_the_same_for_the_same_seed(corpus: Path) -> None:
    texts = construct.read_texts(corpus, limit=30)
    one, two = (construct.pairs_of_texts(texts, Rewriter(5)) for _ in range(2))
    assert one == two
    assert one != construct.pairs_of_texts(texts, Rewriter(6))
    assert {p.label for p in one} == set(train.LABEL_ORDER)


def test_a_refuted_pair_differs_from_its_source(corpus: Path) -> None:
    for pair in construct.pairs_of_texts(construct.read_texts(corpus, limit=30), Rewriter(1)):
        if pair.label is Label.REFUTED:
            assert normal(pair.claim).rstrip(".") not in normal(pair.evidence)


def test_the_smallest_edits_change_one_thing() -> None:
    rewriter = Rewriter(3)
    rewriter.names = ["Phú Lộc"]
    claim = "Năm 2020, hợp tác xã ở xã Bản Cao đã trồng 35 ha chè, không bán cho thương lái."
    number, day, actor = rewriter.number(claim), rewriter.date(claim), rewriter.actor(claim)
    assert number is not None
    assert day is not None
    assert actor is not None
    assert "35 ha" not in number
    assert "2020" in number
    assert "2020" not in day
    assert "35 ha" in day
    assert actor == claim.replace("Bản Cao", "Phú Lộc")
    assert rewriter.negation("Trời mưa to quá.") is None


def test_harmless_changes_keep_every_number() -> None:
    rewriter = Rewriter(9)
    claim = "Hợp tác xã bán 8.500.000 đồng tiền gạo cho 45 hộ dân trong bản, theo báo cáo mới"
    for _ in range(60):
        said = rewriter.harmless(claim)
        assert "8.500.000" in said or "8,5 triệu" in said or "bán" not in said
        assert "không" not in normal(said).replace("không quá", "")


def test_passages_give_all_labels_and_expired_law() -> None:
    base = reference.load()
    rewriter = Rewriter(0)
    rewriter.clauses = ["nhiều bà con phấn khởi kéo về dự hội"]
    pairs = construct.pairs_of_passages(base.passages, rewriter)
    kinds = {p.kind for p in pairs}
    assert {"number", "negation", "law_expired", "silent", "same", "added clause"} <= kinds
    expired = [p for p in pairs if p.kind == "law_expired"]
    assert all(p.label is Label.REFUTED for p in expired)
    assert any("7 thành viên" in p.claim and "5 thành viên" in p.evidence for p in expired)
    by_text = {p.text: p.topic for p in base.passages}
    assert all(p.group == f"topic:{by_text[p.evidence]}" for p in pairs)


def test_a_source_text_stands_on_one_side_of_the_split(corpus: Path) -> None:
    pairs = construct.pairs_of_texts(construct.read_texts(corpus, limit=60), Rewriter(0))
    inside, outside = construct.split(pairs)
    assert inside
    assert outside
    assert not {p.group for p in inside} & {p.group for p in outside}
    kept = construct.balanced(pairs, seed=1)
    counts = [sum(p.label is label for p in kept) for label in train.LABEL_ORDER]
    assert len(set(counts)) == 1


def test_training_writes_a_model_that_loads_and_is_the_same_twice(
    corpus: Path, tmp_path: Path
) -> None:
    passages = reference.load().passages
    one = train.train_comparison(
        tmp_path / "one", corpus=corpus, passages=passages[:40], seed=4, limit=60,
        sources=("texts of the test's own making",),
    )  # fmt: skip
    two = train.train_comparison(
        tmp_path / "two", corpus=corpus, passages=passages[:40], seed=4, limit=60,
        sources=("texts of the test's own making",),
    )  # fmt: skip
    manifest = registry.verify(one)
    assert (one / "comparison.json").read_bytes() == (two / "comparison.json").read_bytes()
    assert manifest == registry.verify(two)
    assert manifest.metrics["macro_f1"] > 0.5
    assert "texts of the test's own making" in (one / "MODEL_CARD.md").read_text(encoding="utf-8")
    found = registry.load(one).judge("Có 5 người.", "Có 7 người.")
    assert found.error == ""


def test_the_command_line_trains_and_names_its_errors(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    assert (
        train.main(["comparison", "--out", str(out), "--corpus", str(corpus), "--limit", "40"]) == 0
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed["model_id"] == registry.verify(out).model_id
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"claim": "a", "evidence": "b", "label": "WRONG"}\n', encoding="utf-8")
    assert train.main(["comparison", "--out", str(out), "--pairs", str(bad)]) == 1
    assert "bad.jsonl:1" in capsys.readouterr().err


def test_pairs_from_a_file_count_as_a_share() -> None:
    files = [Path("xnli.jsonl")]
    pair = construct.Pair(claim="a", evidence="b", label=Label.SUPPORTED, kind="same", group="g")
    labels = list(train.LABEL_ORDER)
    pairs = [
        construct.Pair(claim="a", evidence="b", label=labels[i % 3], kind=kind, group="g")
        for kind, n in (("same", 30), ("xnli", 300))
        for i in range(n)
    ]
    weight = train.weights_of(pairs, files)
    assert weight[30:].sum() / weight[:30].sum() == pytest.approx(train.PAIRS_SHARE, rel=0.01)
    assert np.isfinite(train.weights_of([pair], files)).all()


def test_nothing_to_train_on_and_one_label_only_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to train on"):
        train.train_comparison(tmp_path / "m", passages=())
    rows = "".join(
        json.dumps({"claim": f"Có {i} xã.", "evidence": f"Có {i} xã.", "label": "SUPPORTED"}) + "\n"
        for i in range(40)
    )
    (tmp_path / "one.jsonl").write_text(rows, encoding="utf-8")
    with pytest.raises(InputError, match="label"):
        train.train_comparison(tmp_path / "m", passages=(), files=[tmp_path / "one.jsonl"])


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"claim": "a"}', '{"claim": "a", "evidence": "b", "label": 7}']
)
def test_a_bad_line_names_file_and_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "pairs.jsonl"
    good = json.dumps({"claim": "a", "evidence": "b", "label": "NEI"})
    path.write_text(f"{good}\n{line}\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"pairs\.jsonl:2"):
        construct.read_pairs(path)


def test_a_corpus_without_texts_and_a_word_list_without_words_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="here"):
        construct.read_texts(tmp_path, limit=5)
    with pytest.raises(RecordError, match="no such folder"):
        construct.read_texts(tmp_path / "none", limit=5)
    (tmp_path / "synonyms_vi.txt").write_text("một\n\n", encoding="utf-8")
    with pytest.raises(RecordError, match="two words"):
        train.read_lexicon(tmp_path, "synonyms")
    with pytest.raises(RecordError, match="no word list"):
        train.read_lexicon(tmp_path, "antonyms")
    assert train.read_lexicon(None, "antonyms") == []


@pytest.mark.slow(20)
@pytest.mark.needs_shared
def test_the_shipped_model_beats_the_floors_on_vifactcheck(shared: Path) -> None:
    """The floors are those of a logistic regression that was trained in the domain."""
    from models.evaluate import evaluate

    path = shared / "verdicts" / "vifactcheck_dev_a.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    model = registry.load_default()
    gold = evaluate(model, rows, field="evidence")
    # Every third: an article takes ten times as long. benchmarks/verdict.py takes all of them.
    whole = evaluate(model, rows[::3], field="context")
    assert gold.failed == whole.failed == 0
    assert gold.macro_f1 >= 0.65
    assert whole.macro_f1 >= 0.60
    rows = rows[::3]
    evidence = [r["evidence"] for r in rows]
    shuffled = [{**r, "evidence": evidence[(i * 7 + 101) % len(rows)]} for i, r in enumerate(rows)]
    said = [model.judge(r["claim"], r["evidence"]).label for r in shuffled]
    assert said.count(Label.REFUTED) / len(said) <= 0.03
