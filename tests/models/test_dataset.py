"""Constructed cells: what each kind of edit does, and that the claim alone gives nothing away."""

from __future__ import annotations

import json
import lzma
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import Distortion, Label
from kiemchung.errors import InputError, RecordError
from models import dataset, distort
from models.construct import Pair, Rewriter
from models.cues import normal

R = random.Random


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", normal(text)))


# --- edits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("Hợp tác xã thu 5 tỷ đồng.", {"triệu đồng", "nghìn đồng"}),
        ("Xã trồng 12 ha lúa.", {"m2", "km2"}),
        ("Cả vụ được 36 tấn gạo.", {"kg", "tạ", "gam"}),
        ("Tỷ lệ là 30% vốn.", {"phần nghìn"}),
        ("Có 40 hộ tham gia.", {"người", "gia đình"}),
    ],
)
def test_unit_changes_only_what_stands_behind_the_number(text: str, allowed: set[str]) -> None:
    for seed in range(6):
        changed = distort.unit(text, R(seed))
        assert changed is not None
        assert changed != text
        assert any(word in changed for word in allowed)
        assert re.findall(r"\d+", changed)[:1] == re.findall(r"\d+", text)[:1]


def test_unit_leaves_days_of_the_calendar_alone() -> None:
    assert distort.unit("Cuộc họp vào ngày 5 tháng 6.", R(0)) is None
    assert distort.unit("Không có số nào.", R(0)) is None


def test_merge_gives_each_count_to_the_other_thing() -> None:
    text = "Xã có 12 hộ nghèo và huyện có 95 hộ nghèo."
    assert distort.merge(text, R(0)) == "Xã có 95 hộ nghèo và huyện có 12 hộ nghèo."
    assert distort.merge("Năm 2012 và năm 2015 đều mất mùa.", R(0)) is None
    assert distort.merge("Có 12 hộ ở 12 thôn.", R(0)) is None


def test_source_names_another_office_and_keeps_the_figure() -> None:
    text = "Theo Tổng cục Thống kê, cả nước có 31.700 hợp tác xã."
    changed = distort.source(text, R(1))
    assert changed is not None
    assert "Tổng cục Thống kê" not in changed
    assert changed.endswith(", cả nước có 31.700 hợp tác xã.")
    assert distort.source("Anh chạy theo Ngọc ra chợ.", R(0)) is None
    assert distort.source("Xử lý theo Điều 263 của bộ luật.", R(0)) is None


def test_condition_is_dropped_from_either_end() -> None:
    head = distort.condition("Nếu đại hội đồng ý, hợp tác xã được phát hành thêm cổ phần.", R(0))
    tail = distort.condition(
        "Thành viên được trả lại phần vốn góp, trừ trường hợp điều lệ quy định khác.", R(0)
    )
    assert head is not None
    assert "đồng ý" not in head
    assert head.endswith("hợp tác xã được phát hành thêm cổ phần.")
    assert tail is not None
    assert "điều lệ" not in tail
    assert distort.condition("Khi trời tối, họ ra về.", R(0)) is None


def test_actor_takes_a_name_of_as_many_syllables() -> None:
    text = "Hôm qua ông Nguyễn Văn Bình nói vậy."
    names = ["Hà Nội", "Trần Thị Lan", "Nguyễn Văn Bình"]
    assert distort.actor(text, names, R(0)) == "Hôm qua ông Trần Thị Lan nói vậy."
    assert distort.actor(text, ["Hà Nội"], R(0)) is None
    assert distort.actor("Không ai nói gì.", names, R(0)) is None


@given(
    st.lists(
        st.sampled_from(["ba", "bốn", "năm", "xã", "huyện", "không", "có", "được"]),
        min_size=1,
        max_size=8,
    ),
    st.lists(
        st.sampled_from(["ba", "bốn", "năm", "xã", "huyện", "không", "có", "được"]),
        min_size=1,
        max_size=8,
    ),
)
def test_an_edit_holds_the_whole_difference(before: list[str], after: list[str]) -> None:
    a, b = " ".join(before), " ".join(after)
    edit = distort.edit_of("number", a, b)
    if edit is None:
        assert a == b
        return
    assert edit.old in a
    assert edit.new in b
    assert edit.old != edit.new


def test_two_versions_name_both_days_and_two_years() -> None:
    for seed in range(20):
        made = distort.Versions.of("Cần 7 thành viên.", "Cần 5 thành viên.", R(seed))
        assert "Cần 7 thành viên" in made.text
        assert "Cần 5 thành viên" in made.text
        turn = max(int(y) for y in re.findall(r"(?:/|năm )(\d{4})", made.text))
        (early,) = re.findall(r"\d{4}", made.before)
        (late,) = re.findall(r"\d{4}", made.after)
        assert int(early) < turn < int(late) or int(early) < int(late)


# --- a small corpus --------------------------------------------------------------------------------


def _news(i: int) -> str:
    people = ("Nguyễn Văn Bình", "Trần Thị Lan", "Lê Quang Huy", "Phạm Thu Hà", "Võ Đình Sơn")
    places = ("Hòa Bình", "Đồng Tháp", "Bến Tre", "Lâm Đồng", "Phú Thọ")
    crops = ("lúa", "cam", "chè", "bưởi", "cà phê", "hồ tiêu", "rau sạch")
    who, where, crop = people[i % 5], places[(i // 5) % 5], crops[i % 7]
    a, b, c = 11 + i, 210 + 3 * i, 1000 + 17 * i
    return "\n".join(
        (
            f"Hợp tác xã {crop} ở {where} bán được {a} tấn trong năm {2000 + i % 20}",
            f"Ông {who} cho biết hợp tác xã có {b} hộ và đã bán {a} tấn {crop} .",
            f"Ngày {1 + i % 27}/5 , tại tỉnh {where} , ông {who} nói chuyện với các hộ trồng {crop} .",
            f"Theo Tổng cục Thống kê , hợp tác xã này đã bán được {a} tấn {crop} và thu về {c} triệu đồng .",
            f"Hiện nay hợp tác xã có {b} hộ tham gia và một số hộ đã góp thêm vốn .",
            f"Nếu giá {crop} giữ vững , hợp tác xã sẽ mở thêm {2 + i % 7} điểm bán ở huyện khác .",
            "Bà con ở đây không phải trả phí dịch vụ cho vụ đầu tiên của năm .",
            f"Trước đó , tỉnh {where} đã hỗ trợ {c + 40} triệu đồng để xây dựng kho lạnh .",
            "Người dân mong muốn được vay vốn với lãi suất thấp hơn trong thời gian tới .",
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    with lzma.open(folder / "news_00.txt.xz", "wt", encoding="utf-8") as out:
        out.write("\n\n".join(_news(i) for i in range(90)))
    with (folder / "coop.jsonl").open("w", encoding="utf-8") as lines:
        for i in range(90, 110):
            title, lead, *body = _news(i).split("\n")
            record = {"title": title, "abstract": lead, "body": "\n".join(body)}
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
    rules = (
        "Điều 3. Hợp tác xã phải có ít nhất {} thành viên chính thức khi đăng ký thành lập.",
        "Thành viên được góp không quá {} phần trăm vốn điều lệ của hợp tác xã.",
        "Hợp tác xã phải gửi báo cáo trước ngày {} tháng 3 hằng năm cho cơ quan đăng ký.",
        "Trường hợp chậm nộp quá {} ngày, hợp tác xã bị nhắc nhở bằng văn bản.",
        "Đại hội thành viên được họp khi có ít nhất {} phần trăm đại biểu tham dự.",
    )
    blocks = ["\n".join(r.format(5 + i + j) for j, r in enumerate(rules)) for i in range(20)]
    (folder / "statutes.txt").write_text("\n\n".join(blocks), encoding="utf-8")
    return folder


def test_articles_know_headline_lead_and_rules(corpus: Path) -> None:
    found = dataset.articles(corpus, limit=60)
    assert len(found) == 60
    assert {a.statute for a in found} == {True, False}
    for a in found:
        assert bool(a.title) is not a.statute
        assert len(a.sentences) >= 4
        assert not any(s.startswith("Điều") for s in a.sentences)
        assert not any("_" in s for s in a.sentences)
    assert found == dataset.articles(corpus, limit=60)
    assert found != dataset.articles(corpus, limit=60, seed=1)


def test_build_is_balanced_blind_to_the_claim_and_split_by_text(corpus: Path) -> None:
    made = dataset.build(corpus, passages=(), size=600)
    pairs = (*made.train, *made.held_out)
    counts = made.counts()["labels"]
    assert 300 < len(pairs) <= 600
    assert max(counts.values()) == min(counts.values())
    assert made.claim_only <= dataset.CHANCE + dataset.LEAK
    assert not {p.group for p in made.train} & {p.group for p in made.held_out}
    kinds = set(made.counts()["kinds"])
    assert kinds >= {"number", "unit", "negation", "law_expired", "summary", "same article"}
    assert made.candidates >= len(pairs)
    again = dataset.build(corpus, passages=(), size=600)
    assert again == made


def test_no_text_stands_under_two_labels_and_refuted_differs(corpus: Path) -> None:
    found = dataset.articles(corpus, limit=100)
    for cell in dataset.cells(found, Rewriter(0)):
        seen: dict[tuple[str, str], Label] = {}
        for p in cell:
            key = (normal(p.claim), normal(p.evidence))
            assert seen.setdefault(key, p.label) is p.label
            assert p.claim.strip()
            assert p.evidence.strip()
            if p.kind == Distortion.NUMBER and p.label is Label.REFUTED:
                assert set(re.findall(r"\d[\d.,]*\d|\d", p.claim)) != set()


def test_silent_evidence_does_not_hold_the_sentence(corpus: Path) -> None:
    found = dataset.articles(corpus, limit=100)
    silent = [
        p for cell in dataset.cells(found, Rewriter(3)) for p in cell
        if p.label is Label.NOT_ENOUGH_INFO and p.kind in ("same article", "same entity")
    ]  # fmt: skip
    assert len(silent) > 50
    told = [len(_words(p.claim) & _words(p.evidence)) / len(_words(p.claim)) for p in silent]
    assert sum(share > 0.9 for share in told) / len(told) < 0.1


def _leaky(n: int) -> list[list[Pair]]:
    """Cells of which two thirds give the label away by a word of the claim."""
    made = []
    for i in range(n):
        words = {
            Label.SUPPORTED: "rõ ràng", Label.REFUTED: "bịa đặt", Label.NOT_ENOUGH_INFO: "nghe nói"
        }  # fmt: skip
        made.append(
            [
                Pair(
                    claim=f"Việc {i} {words[label] if i % 3 else 'xảy ra'} ở xã {i % 13}.",
                    evidence=f"Việc {i}.", label=label, kind="toy", group=f"g{i}",
                )
                for label in words
            ]
        )  # fmt: skip
    return made


def test_the_filter_drops_the_cells_that_give_themselves_away() -> None:
    kept, before, after = dataset.filtered(_leaky(90), rounds=20)
    assert before > 0.6
    assert after < before
    left = [int(p.group[1:]) % 3 for cell in kept for p in cell]
    assert left.count(0) / len(left) > 0.5
    assert len(left) < 270


def test_a_corpus_that_gives_the_label_away_is_refused(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "cells", lambda *_: [c for i, c in enumerate(_leaky(90)) if i % 3])
    with pytest.raises(InputError, match="claim alone"):
        dataset.build(corpus, passages=(), size=90)


def test_bad_corpora_are_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no such folder"):
        dataset.build(tmp_path / "none", passages=())
    (tmp_path / "a.jsonl").write_text("{nope\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"a\.jsonl:1"):
        dataset.articles(tmp_path, limit=5)
    (tmp_path / "a.jsonl").write_text('{"title": "x", "body": "y"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="more running text"):
        dataset.build(tmp_path, passages=())


def test_what_is_written_can_be_read_and_adds_up(corpus: Path, tmp_path: Path) -> None:
    made = dataset.build(corpus, passages=(), size=300)
    body = dataset.write(tmp_path, made, seed=0, sources=["news_00.txt.xz"])
    lines = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == body["train"] == len(made.train)
    first = json.loads(lines[0])
    assert Pair(**{**first, "label": Label(first["label"])}) == made.train[0]
    assert sum(body["labels"].values()) == body["train"] + body["held_out"]
    assert json.loads((tmp_path / "construction.json").read_text(encoding="utf-8")) == body
