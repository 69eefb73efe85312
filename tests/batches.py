"""Batches for the tests of the store and of the review desk, in words of our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from kiemchung.domain import (
    Accounting,
    Article,
    AsOfMethod,
    Batch,
    Checkability,
    Difference,
    Distortion,
    Document,
    Evidence,
    Judgement,
    Label,
    Mention,
    NeiReason,
    Passage,
    PassageKind,
    Run,
    Speech,
    Status,
    digest,
)

OLD_LAW = Document(
    doc_id="luat-23-2012",
    number="23/2012/QH13",
    title="Luật Hợp tác xã",
    short_names=("Luật Hợp tác xã 2012",),
    kind="law",
    publisher="Quốc hội",
    issued=None,
    valid_from=date(2013, 7, 1),
    valid_to=date(2024, 7, 1),
    url="https://example.org/luat-2012",
    snapshot_as_of=date(2026, 7, 1),
)
NEW_LAW = Document(
    doc_id="luat-17-2023",
    number="17/2023/QH15",
    title="Luật Hợp tác xã",
    short_names=("Luật Hợp tác xã 2023",),
    kind="law",
    publisher="Quốc hội",
    issued=None,
    valid_from=date(2024, 7, 1),
    valid_to=None,
    url="https://example.org/luat-2023",
    snapshot_as_of=date(2026, 7, 1),
)


def passage(number: str, text: str, *, old: bool = False, supersedes: str = "") -> Passage:
    document = OLD_LAW if old else NEW_LAW
    return Passage(
        passage_id=f"{document.doc_id}-{number}",
        doc_id=document.doc_id,
        kind=PassageKind.STATUTE,
        locator=f"Điều {number}",
        text=text,
        citation=f"Điều {number} Luật Hợp tác xã số {document.number}",
        valid_from=document.valid_from,
        valid_to=document.valid_to,
        url=document.url,
        topic="thanh-vien-toi-thieu",
        cues=(("thành viên",), ("tối thiểu", "ít nhất")),
        supersedes=supersedes,
        checked="đọc trên bản hợp nhất",
    )


OLD_PASSAGE = passage("3", "Hợp tác xã do ít nhất 7 thành viên tự nguyện thành lập.", old=True)
NEW_PASSAGE = passage(
    "4",
    "Hợp tác xã do ít nhất 5 thành viên chính thức tự nguyện thành lập.",
    supersedes=OLD_PASSAGE.passage_id,
)
OTHER_PASSAGE = passage("83", "Khoản cho vay nội bộ chỉ dành cho thành viên chính thức.")
PASSAGES = (OLD_PASSAGE, NEW_PASSAGE, OTHER_PASSAGE)

FLAG_CLAIM = "Theo luật hiện hành, hợp tác xã phải có ít nhất 7 thành viên."
TRUE_CLAIM = "Hợp tác xã do ít nhất 5 thành viên chính thức lập ra."
OPEN_CLAIM = "Hợp tác xã Sen Vàng có 312 hộ tham gia."
OPINION = "Mô hình này thật đáng khen."


def article(
    number: int,
    *,
    sentences: tuple[str, ...],
    outlet: str = "song-hong",
    title: str | None = None,
    lead: str = "Một xã ven sông vừa có thêm hợp tác xã.",
) -> Article:
    url = f"http://{outlet}.example/bai-{number}.html"
    body = "\n\n".join((*sentences, "Bà con đã chuẩn bị cho vụ mới từ tháng trước."))
    shown = f"Chuyện hợp tác xã số {number}" if title is None else title
    return Article(
        article_id=digest(url, shown, lead, body),
        outlet=outlet,
        url=url,
        canonical_url=url,
        title=shown,
        lead=lead,
        body=body,
        published_at=datetime(2026, 9, 30, 8, tzinfo=UTC) + timedelta(hours=number),
        published_method="meta",
        fetched_at=datetime(2026, 10, 2, 1, tzinfo=UTC),
        raw_sha256="0" * 64,
        title_method="h1",
        lead_method="class",
        body_method="selector",
        about_cooperatives=True,
        topic_reason="title",
        story_id=digest("story", str(number)),
    )


def mention(
    of: Article, text: str, *, checkability: Checkability = Checkability.CHECKABLE
) -> Mention:
    start = of.text.index(text)
    return Mention(
        mention_id=digest(of.article_id, str(start), str(start + len(text))),
        article_id=of.article_id,
        claim_id=digest("claim", text.casefold()),
        start=start,
        end=start + len(text),
        text=text,
        checkability=checkability,
        check_worthiness=0.7,
        speech=Speech.OWN_VOICE,
        as_of=date(2026, 9, 30),
        as_of_method=AsOfMethod.PUBLICATION,
    )


def judgement(
    of: Mention,
    *,
    run_id: str,
    label: Label | None = Label.NOT_ENOUGH_INFO,
    p_refuted: float = 0.1,
    flagged: bool = False,
    shown: tuple[Passage, ...] = (),
    differences: tuple[Difference, ...] = (),
) -> Judgement:
    rest = (1.0 - p_refuted) / 2
    settled = label is not None
    return Judgement(
        judgement_id=digest(of.mention_id, "model-1"),
        mention_id=of.mention_id,
        run_id=run_id,
        model_id="model-1",
        base_version="2026.10+abc",
        threshold=0.8,
        status=Status.OK if settled else Status.ABSTAINED,
        label=label,
        nei_reason=NeiReason.NOT_FOUND if label is Label.NOT_ENOUGH_INFO else None,
        p_supported=rest if settled else None,
        p_refuted=p_refuted if settled else None,
        p_nei=rest if settled else None,
        flagged=flagged,
        evidence=tuple(
            Evidence(
                passage_id=p.passage_id,
                passage_sha256=p.sha256,
                rank=number,
                score=1.0 / number,
                on_point=p is not OTHER_PASSAGE,
            )
            for number, p in enumerate(shown, 1)
        ),
        differences=differences,
    )


def flag(of: Mention, *, run_id: str, p_refuted: float = 0.93) -> Judgement:
    start = of.text.find("7 thành viên")
    number = Difference(
        kind=Distortion.NUMBER,
        claim="7 thành viên",
        evidence="5 thành viên",
        start=start,
        end=start + len("7 thành viên") if start >= 0 else -1,
    )
    missing = Difference(kind=Distortion.CONDITION_DROPPED, claim="", evidence="chính thức")
    return judgement(
        of,
        run_id=run_id,
        label=Label.REFUTED,
        p_refuted=p_refuted,
        flagged=True,
        shown=(NEW_PASSAGE, OTHER_PASSAGE),
        differences=(number, missing),
    )


def batch(
    *,
    week: str = "2026-W40",
    flags: int = 2,
    copies: int = 1,
    quiet: int = 40,
    suffix: str = "",
) -> Batch:
    """``flags`` flagged claims with ``copies`` further mentions of the first, ``quiet`` others."""
    run_id = f"{week}-0123456789ab{suffix}"
    articles, mentions, judgements = [], [], []
    for number in range(flags):
        claim = FLAG_CLAIM if number == 0 else FLAG_CLAIM.replace("hiện hành", f"mới {number}")
        found = article(number, sentences=(claim, OPINION))
        articles.append(found)
        mentions.append(mention(found, claim))
        mentions.append(mention(found, OPINION, checkability=Checkability.OPINION))
        judgements.append(flag(mentions[-2], run_id=run_id, p_refuted=0.95 - number / 100))
    for number in range(copies if flags else 0):
        found = article(500 + number, sentences=(FLAG_CLAIM,), outlet="pho-nho")
        articles.append(found)
        mentions.append(mention(found, FLAG_CLAIM))
        judgements.append(flag(mentions[-1], run_id=run_id, p_refuted=0.9))
    for number in range(quiet):
        claim = OPEN_CLAIM.replace("312", str(312 + number))
        found = article(1000 + number, sentences=(claim,), outlet="nui-cao")
        articles.append(found)
        mentions.append(mention(found, claim))
        label = Label.SUPPORTED if number % 3 == 0 else Label.NOT_ENOUGH_INFO
        judgements.append(
            judgement(
                mentions[-1],
                run_id=run_id,
                label=None if number % 7 == 6 else label,
                shown=(NEW_PASSAGE,) if number % 3 == 0 else (),
            )
        )
    run = Run(
        run_id=run_id,
        week=week,
        outlets=("nui-cao", "pho-nho", "song-hong"),
        config_sha256="c" * 64,
        code_version="0.1.0",
        base_version="2026.10+abc",
        model_id="model-1",
        accounting=Accounting(
            discovered=len(articles) + 4,
            fetched=len(articles) + 2,
            unchanged=1,
            refused={"robots": 1},
            stored=len(articles),
            quarantined={"off_topic": 2},
        ),
        alarms=("nui-cao: feed http://nui-cao.example/chet.rss answers 500",),
    )
    return Batch(
        run=run,
        articles=tuple(articles),
        mentions=tuple(mentions),
        judgements=tuple(judgements),
        passages=PASSAGES,
        documents=(OLD_LAW, NEW_LAW),
    )


def rejudged(old: Batch, p_refuted: float) -> Batch:
    """The same run with other probabilities for its flags."""
    rest = (1 - p_refuted) / 2
    return replace(
        old,
        judgements=tuple(
            replace(j, p_refuted=p_refuted, p_supported=rest, p_nei=rest) if j.flagged else j
            for j in old.judgements
        ),
    )
