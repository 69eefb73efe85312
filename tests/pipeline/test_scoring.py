"""The measuring instrument itself: it has to be able to say that something is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from kiemchung.domain import (
    Article,
    AsOfMethod,
    Checkability,
    Evidence,
    Judgement,
    Label,
    Mention,
    Speech,
    Status,
)
from pipeline.demo.scoring import TruthRow, score, wilson_lower

FALSE = "Hợp tác xã phải có ít nhất 7 thành viên."
TRUE = "Hợp tác xã phải có ít nhất 5 thành viên."
PRAISE = "Hợp tác xã này thật đáng khen."
ARTICLE = Article(
    article_id="a",
    outlet="song-hong",
    url="http://song-hong.example/bai-1.htm",
    canonical_url="http://song-hong.example/bai-1.htm",
    title="T",
    lead="",
    body=f"{FALSE} {TRUE} {PRAISE}",
    published_at=datetime(2025, 1, 1, tzinfo=UTC),
    published_method="x",
    fetched_at=datetime(2025, 1, 1, tzinfo=UTC),
    raw_sha256="0",
    title_method="x",
    lead_method="x",
    body_method="x",
)


def mention(text: str) -> Mention:
    return Mention(
        mention_id=text, article_id="a", claim_id=text, start=0, end=len(text), text=text,
        checkability=Checkability.CHECKABLE, check_worthiness=0.5, speech=Speech.OWN_VOICE,
        as_of=date(2025, 1, 1), as_of_method=AsOfMethod.PUBLICATION,
    )  # fmt: skip


def judgement(text: str, label: Label, *, flagged: bool) -> Judgement:
    p = {Label.SUPPORTED: (1.0, 0.0, 0.0), Label.REFUTED: (0.0, 1.0, 0.0)}[label]
    return Judgement(
        judgement_id=text, mention_id=text, run_id="r", model_id="m", base_version="b",
        threshold=0.9, status=Status.OK, label=label, nei_reason=None, p_supported=p[0],
        p_refuted=p[1], p_nei=p[2], flagged=flagged,
        evidence=(Evidence(passage_id="p", passage_sha256="0", rank=0, score=1, on_point=True),),
    )  # fmt: skip


def row(sentence: str, kind: str, label: str | None, pair: str | None = None) -> TruthRow:
    return TruthRow(outlet="song-hong", slug="bai-1", sentence=sentence, kind=kind, label=label,
                    as_of="2025-01-01", law_pair=pair, why="")  # fmt: skip


TRUTH = [row(FALSE, "number", "REFUTED", "x"), row(TRUE, "true", "SUPPORTED", "x"),
         row(PRAISE, "praise", None)]  # fmt: skip


def scored(*flagged: str, truth: list[TruthRow] = TRUTH) -> object:
    texts = (FALSE, TRUE, PRAISE)
    labels = {FALSE: Label.REFUTED, TRUE: Label.SUPPORTED, PRAISE: Label.REFUTED}
    judged = [
        judgement(t, Label.REFUTED if t in flagged else labels[t], flagged=t in flagged)
        for t in texts
    ]
    return score(truth, [ARTICLE], [mention(t) for t in texts], judged)


def test_all_right() -> None:
    s = scored(FALSE)
    assert (s.precision, s.recall, s.pairs_right, s.control_flags) == (1.0, 1.0, 1, ())  # type: ignore[attr-defined]


def test_a_flagged_true_claim_costs_precision_and_its_pair() -> None:
    s = scored(FALSE, TRUE)
    assert s.precision == 0.5  # type: ignore[attr-defined]
    assert s.pairs_right == 0  # type: ignore[attr-defined]
    assert s.false_flags  # type: ignore[attr-defined]


def test_flagged_praise_is_a_control_failure() -> None:
    assert scored(FALSE, PRAISE).control_flags  # type: ignore[attr-defined]


def test_a_missed_claim_costs_recall() -> None:
    s = scored()
    assert s.recall == 0.0  # type: ignore[attr-defined]
    assert s.precision is None  # type: ignore[attr-defined]
    assert s.missed  # type: ignore[attr-defined]


def test_a_flag_outside_the_truth_counts_as_wrong() -> None:
    s = scored(FALSE, TRUE, truth=TRUTH[:1])
    assert s.precision == 0.5  # type: ignore[attr-defined]


def test_a_truth_sentence_that_was_lost_is_named() -> None:
    s = scored(truth=[*TRUTH, row("Câu này không có.", "true", "SUPPORTED")])
    assert len(s.missing) == 1  # type: ignore[attr-defined]


@given(st.integers(1, 400), st.data())
def test_the_wilson_bound_lies_below_the_share(total: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, total))
    assert -1e-9 <= wilson_lower(good, total) <= good / total + 1e-9


def test_the_wilson_bound_of_a_known_case() -> None:
    assert abs(wilson_lower(19, 20) - 0.7639) < 5e-4  # Wilson 1927, by hand
