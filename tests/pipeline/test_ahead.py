"""A shard is judged the same with one call as with one call a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kiemchung.config import load_settings
from kiemchung.domain import Article
from models.verdict import Verdict, VerdictModel
from pipeline.ahead import judge_all
from pipeline.judging import Judge
from pipeline.reading import mentions
from pipeline.weeks import parse_week

BODY = (
    "Theo luật hiện hành, hợp tác xã phải có ít nhất 7 thành viên. "
    "Hợp tác xã phải có ít nhất 5 thành viên chính thức. "
    "Mỗi thành viên góp không quá 30% vốn điều lệ của hợp tác xã. "
    "Theo tôi, luật mới rất nhân văn. "
    "Theo luật hiện hành, hợp tác xã phải có ít nhất 7 thành viên."
)


class Batches:
    """The shipped model, asked in batches; counts the calls of either kind."""

    def __init__(self, model: VerdictModel) -> None:
        self.model = model
        self.model_id = f"{model.model_id}+batches"
        self.threshold = model.threshold
        self.batches: list[int] = []
        self.single = 0

    def judge(self, claim: str, evidence: str) -> Verdict:
        self.single += 1
        return self.model.judge(claim, evidence)

    def judge_all(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        self.batches.append(len(pairs))
        return [self.model.judge(*pair) for pair in pairs]


@pytest.mark.slow
def test_one_batch_gives_the_judgements_of_one_at_a_time() -> None:
    judge = Judge.load(load_settings())
    article = Article(
        article_id="a", outlet="a", url="http://a.example/1", canonical_url="http://a.example/1",
        title="Luật hợp tác xã", lead="", body=BODY,
        published_at=datetime(2025, 3, 1, tzinfo=UTC), published_method="x",
        fetched_at=datetime(2026, 10, 1, tzinfo=UTC), raw_sha256="0", title_method="x",
        lead_method="x", body_method="x",
    )  # fmt: skip
    found = mentions(article, judge.documents, undated=parse_week("2026-W40").sunday)
    batches = Batches(judge.model)
    in_batches = replace(judge, model=batches)
    one_by_one = [in_batches.judge(m, run_id="r") for m in found]
    assert batches.single > 0
    batches.single = 0
    assert judge_all(in_batches, found, run_id="r") == one_by_one
    assert batches.single == 0  # nothing was left to ask
    (asked,) = batches.batches
    assert 0 < asked < len(found)  # the sentence that stands twice was asked once
    assert any(j.flagged for j in one_by_one)
    assert judge_all(judge, found, run_id="r") == [judge.judge(m, run_id="r") for m in found]
