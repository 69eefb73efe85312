"""How a claim is built, as the desk shows it: kind, who is quoted, context, parts, limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from dashboards.deskview import structure
from kiemchung.domain import AsOfMethod, Mention
from kiemchung.store import Item
from nlp.structure import ClaimKind
from tests.batches import batch
from tests.dashboards.conftest import Person

BODY = (
    "Quốc hội đã thông qua Luật Hợp tác xã năm 2023.\n"
    "Giám đốc sở cho biết luật này cho góp tối đa 30% vốn điều lệ; có hiệu lực từ 1/7/2024."
)


def item() -> Item:
    given = batch()
    article = replace(given.articles[0], title="Tin", lead="", body=BODY)
    start = article.text.index("Giám đốc")
    mention = Mention(
        mention_id="m" * 64,
        article_id=article.article_id,
        claim_id="c" * 64,
        start=start,
        end=len(article.text),
        text=article.text[start:],
        checkability=given.mentions[0].checkability,
        check_worthiness=0.5,
        speech=given.mentions[0].speech,
        as_of=date(2025, 3, 1),
        as_of_method=AsOfMethod.PUBLICATION,
    )
    base = Item.__dataclass_fields__
    rest = {name: None for name in base if name not in ("mention_key", "mention", "article")}
    return Item(mention_key=1, mention=mention, article=article, **rest)  # type: ignore[arg-type]


def test_the_desk_reads_kind_speaker_context_and_parts() -> None:
    shown = item()
    found = structure(shown.mention, shown.article)
    assert found.kind is ClaimKind.RULE
    assert found.said is not None
    assert found.said.role == "giám đốc"
    assert [(r.text, r.meaning) for r in found.context] == [
        ("luật này", "Luật Hợp tác xã năm 2023")
    ]
    assert len(found.parts) == 2


def test_the_page_names_the_kind_and_the_limits(an: Person) -> None:
    key = an.first_item()
    assert an.get(f"/item/{key}?view=queue") == 200
    kinds = ("quy định", "số liệu", "định nghĩa", "so sánh", "lời dẫn", "sự việc")
    assert any(f"<span>{kind}</span>" in an.page for kind in kinds)
