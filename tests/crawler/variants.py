"""Twenty page templates of our own over invented articles, as sites of many kinds would print them.

Every template takes the same parts and wraps them in its own markup, with what surrounds an article
on a real page: menus, captions, related links, tags, bylines, dates, comments, advertisements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an article consists of; ``published`` is ISO with zone, ``shown`` its printed form."""

    title: str
    lead: str
    paragraphs: tuple[str, ...]
    captions: tuple[str, ...]
    related: tuple[str, ...]
    tags: tuple[str, ...]
    byline: str
    published: str
    shown: str

    @property
    def body(self) -> str:
        """The body as it should come out."""
        return "\n".join(self.paragraphs)


ARTICLES = (
    Parts(
        title="Hợp tác xã Suối Mây đưa chè lên sàn sau ba vụ thử",
        lead="Sau ba vụ thử nghiệm, hợp tác xã Suối Mây đã bán được hơn hai tấn chè qua mạng và"
        " trả tiền cho thành viên ngay trong tuần.",
        paragraphs=(
            "Sáng đầu tháng, trong gian nhà kho lợp tôn ở cuối bản, chị Lò Thị Mẩy cùng bốn người"
            " khác đóng những gói chè cuối cùng của vụ xuân để kịp chuyến xe xuống phố.",
            "Hợp tác xã Suối Mây thành lập với mười một hộ, nay có 46 hộ góp vốn, trồng 32 héc ta"
            " chè trên sườn núi phía tây của xã.",
            "“Hồi đầu ai cũng ngại, vì gửi hàng đi mà chưa thấy tiền thì lo lắm”, chị Mẩy kể khi"
            " được hỏi về đơn hàng đầu tiên.",
            "Theo sổ sách của hợp tác xã, giá bán qua mạng cao hơn giá thương lái trả tại vườn"
            " khoảng 18 %, nhưng phải trừ tiền bao bì và cước vận chuyển.",
            "Kế toán Hà Văn Páo cho biết mỗi thành viên được thanh toán trong vòng năm ngày kể từ"
            " khi khách nhận hàng, chậm hơn thì hợp tác xã ứng trước từ quỹ.",
            "Vụ tới, hợp tác xã dự tính dựng thêm một lò sấy và học cách ghi nhật ký canh tác để"
            " xin chứng nhận hữu cơ cho mười héc ta đầu tiên.",
        ),
        captions=("Chị Mẩy đóng chè trong kho của hợp tác xã.", "Đồi chè nhìn từ đường liên xã."),
        related=("Giá chè tăng nhẹ ở vùng cao", "Chợ phiên đông khách trở lại",
                 "Trời rét, trâu bò được nhốt chuồng"),
        tags=("chè", "hợp tác xã", "bán hàng qua mạng"),
        byline="Vừ Seo Dín",
        published="2026-03-05T07:45:00+07:00", shown="Thứ Năm, 05/03/2026, 07:45 (GMT+7)",
    ),
    Parts(
        title="Mười năm giữ nghề đan cói bên sông Mới",
        lead="Nhờ góp vốn mua máy chẻ sợi, các xã viên đan cói ở thôn Đông không còn phải ngồi"
        " đến nửa đêm mới kịp hàng.",
        paragraphs=(
            "Con đường vào thôn Đông hẹp đến mức hai chiếc xe ba gác tránh nhau cũng phải nép vào"
            " bờ giậu, nhưng từ sáng sớm đã rộn tiếng máy chẻ sợi.",
            "Năm 2016, hai mươi ba hộ góp mỗi hộ ba triệu đồng để lập hợp tác xã đan cói; đến nay"
            " vốn góp đã lên 1,2 tỷ đồng.",
            "Ông Đoàn Văn Khiết, người đứng ra vận động ngày ấy, nói rằng cái khó nhất là thuyết"
            " phục bà con để lại một phần lãi vào quỹ phát triển.",
            "Hàng của thôn đi khắp nơi: thảm chùi chân, làn đi chợ, hộp đựng bánh, và mấy năm nay"
            " có cả đèn lồng cho các quán cà phê trong phố.",
            "Khi đơn hàng xuất khẩu bị hoãn vào giữa năm ngoái, hợp tác xã chia việc cho từng tổ"
            " theo thứ tự bốc thăm để nhà nào cũng có thu nhập.",
            "“Ít thì chia ít, nhiều thì chia nhiều, miễn là công khai”, bà Phạm Thị Thoa, tổ trưởng"
            " tổ ba, nói rồi cười.",
            "Tổ ba đang dạy nghề cho chín em vừa học xong lớp mười hai, mỗi buổi tối hai tiếng,"
            " không thu học phí.",
        ),
        captions=("Máy chẻ sợi mới của tổ ba.", "Những chiếc làn chờ chuyến xe sớm."),
        related=("Làng nghề chờ mùa Tết", "Cói nguyên liệu khan hàng", "Phố cũ thêm quán mới"),
        tags=("làng nghề", "đan cói", "vốn góp"),
        byline="Nguyễn Thị Sen",
        published="2026-05-18T16:20:00+07:00", shown="18/5/2026 - 16:20",
    ),
)  # fmt: skip


def _ps(a: Parts, mark: str = "") -> str:
    return "".join(f"<p{mark}>{p}</p>" for p in a.paragraphs)


def _menu() -> str:
    return '<nav><ul>' + "".join(f'<li><a href="/{n}">{n}</a></li>' for n in (
        "Thời sự", "Kinh tế", "Xã hội", "Văn hóa", "Thể thao")) + "</ul></nav>"  # fmt: skip


def _foot() -> str:
    return ('<footer><p>Cơ quan chủ quản: Hội Thử Nghiệm. Giấy phép số 01/GP.</p>'
            '<p>Liên hệ quảng cáo: 000 000 000</p></footer>')  # fmt: skip


def _links(a: Parts) -> str:
    return "".join(f'<li><a href="/tin-{n}-9{n}.htm">{r}</a></li>' for n, r in enumerate(a.related))


def _tags(a: Parts) -> str:
    return "".join(f'<a href="/tag/{n}">{t}</a> ' for n, t in enumerate(a.tags))


def _html(head: str, body: str, a: Parts, *, meta: bool = True, ld: bool = False) -> str:
    more = ""
    if meta:
        more += (f'<meta property="og:title" content="{a.title}">'
                 f'<meta property="og:description" content="{a.lead}">'
                 f'<meta property="article:published_time" content="{a.published}">')  # fmt: skip
    if ld:
        more += ('<script type="application/ld+json">{"@type":"NewsArticle","headline":"'
                 f'{a.title}","datePublished":"{a.published}"}}</script>')  # fmt: skip
    return (f'<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>{a.title} | Báo Thử'
            f'</title>{more}{head}</head><body>{body}</body></html>')  # fmt: skip


def vccorp(a: Parts) -> str:
    figure = f'<figure><img src="1.jpg"><figcaption><p>{a.captions[0]}</p></figcaption></figure>'
    return _html("", f'{_menu()}<h1 class="detail-title">{a.title}</h1><div class="detail-author">'
                 f'{a.byline}</div><h2 class="detail-sapo">{a.lead}</h2><div class="detail-content '
                 f'afcbc-body">{_ps(a)[:0]}<p>{a.paragraphs[0]}</p>{figure}'
                 + "".join(f"<p>{p}</p>" for p in a.paragraphs[1:])
                 + f'</div><div class="detail-tags">{_tags(a)}</div>{_foot()}', a)  # fmt: skip


def cms_body(a: Parts) -> str:
    return _html("", f'{_menu()}<article><h1 class="cms-title">{a.title}</h1><time datetime="'
                 f'{a.published}">{a.shown}</time><div class="article__sapo cms-desc">{a.lead}</div>'
                 f'<div class="article__body cms-body">{_ps(a)}<p class="author">{a.byline}</p></div>'
                 f'<ul class="related">{_links(a)}</ul></article>{_foot()}', a, meta=False)  # fmt: skip


def bare_text(a: Parts) -> str:
    return _html("", f'<h1>{a.title}</h1><div class="lead">{a.lead}</div><div class="nd">'
                 + "<br><br>".join(a.paragraphs) + f'</div>{_foot()}', a)  # fmt: skip


def old_tables(a: Parts) -> str:
    return _html("", f'<table width="100%"><tr><td colspan="2">{_menu()}</td></tr><tr><td><font '
                 f'size="5"><b>{a.title}</b></font><br><b>{a.lead}</b><div>{_ps(a)}</div><table>'
                 f'<tr><td><img src="a.jpg"></td></tr><tr><td><i>{a.captions[0]}</i></td></tr>'
                 f'</table></td><td><ul>{_links(a)}</ul></td></tr></table>', a)  # fmt: skip


def amp(a: Parts) -> str:
    return ('<!doctype html><html amp lang="vi"><head><meta charset="utf-8"><title>' + a.title
            + f'</title><script type="application/ld+json">{{"@type":"NewsArticle","headline":'
            f'"{a.title}","description":"{a.lead}","datePublished":"{a.published}"}}</script></head>'
            f'<body><amp-sidebar>{_menu()}</amp-sidebar><main><h1>{a.title}</h1><p class="sapo">'
            f'{a.lead}</p><amp-img src="1.jpg"></amp-img><p class="caption">{a.captions[0]}</p>'
            f'{_ps(a)}</main></body></html>')  # fmt: skip


def wordpress(a: Parts) -> str:
    figure = (f'<figure class="wp-caption"><img src="1.jpg"><figcaption class="wp-caption-text">'
              f'{a.captions[0]}</figcaption></figure>')  # fmt: skip
    return _html("", f'<div id="page">{_menu()}<main><article class="post hentry"><h1 class='
                 f'"entry-title">{a.title}</h1><div class="entry-meta">Đăng bởi <a rel="author">'
                 f'{a.byline}</a></div><div class="entry-content"><p><strong>{a.lead}</strong></p>'
                 f'{figure}{_ps(a)}<div class="sharedaddy">Chia sẻ: Facebook Twitter</div></div>'
                 f'<div id="comments"><h3>2 bình luận</h3><p>Bài hay quá, cảm ơn báo.</p></div>'
                 f'</article></main></div>{_foot()}', a, ld=True)  # fmt: skip


def divs(a: Parts) -> str:
    return _html("", f'<div>{_menu()}</div><div class="ttl"><h1>{a.title}</h1></div><div class='
                 f'"smr">{a.lead}</div><div class="ct">'
                 + "".join(f"<div>{p}</div>" for p in a.paragraphs) + f'</div>{_foot()}', a)  # fmt: skip


def lead_in_body(a: Parts) -> str:
    return _html("", f'<h1>{a.title}</h1><article class="content"><p><strong>{a.lead}</strong></p>'
                 f'{_ps(a)}<p style="text-align:right"><strong>{a.byline}</strong></p></article>'
                 f'{_foot()}', a)  # fmt: skip


def lead_in_meta(a: Parts) -> str:
    return _html("", f'{_menu()}<h1>{a.title}</h1><div class="body-text">{_ps(a)}</div>{_foot()}',
                 a)  # fmt: skip


def related_inside(a: Parts) -> str:
    half = len(a.paragraphs) // 2
    box = f'<div class="box-tinlienquan"><strong>Tin liên quan</strong><ul>{_links(a)}</ul></div>'
    return _html("", f'<h1>{a.title}</h1><h2 class="sapo">{a.lead}</h2><div class="noidung">'
                 + "".join(f"<p>{p}</p>" for p in a.paragraphs[:half]) + box
                 + "".join(f"<p>{p}</p>" for p in a.paragraphs[half:]) + f'</div>{_foot()}',
                 a)  # fmt: skip


def malformed(a: Parts) -> str:
    return _html("", f'<div class=wrap><h1>{a.title}</h2><p class=sapo>{a.lead}<div class=content>'
                 + "".join(f"<p>{p}" for p in a.paragraphs) + '<div class=tags>' + _tags(a)
                 + '</div></span></div>', a)  # fmt: skip


def bootstrap(a: Parts) -> str:
    side = f'<div class="col-md-4"><div class="card"><ul>{_links(a)}</ul></div></div>'
    return _html("", f'<div class="container"><div class="row"><div class="col-md-8"><h1>{a.title}'
                 f'</h1><p class="text-muted">{a.shown}</p><p class="font-weight-bold lead">{a.lead}'
                 f'</p><div class="post-body">{_ps(a)}</div></div>{side}</div></div>', a)  # fmt: skip


def advertised(a: Parts) -> str:
    ad = (
        '<div class="ads-banner"><a href="https://qc.example"><img src="qc.gif"></a>Quảng cáo</div>'
    )
    return _html("", f'<section class="main"><h1>{a.title}</h1><h2 class="summary">{a.lead}</h2>'
                 f'<section class="article-content">'
                 + ad.join(f"<p>{p}</p>" for p in a.paragraphs) + f'</section></section>{_foot()}',
                 a)  # fmt: skip


def photo_story(a: Parts) -> str:
    shots = "".join(
        f'<figure><img src="{n}.jpg"><figcaption>{c}</figcaption></figure>'
        for n, c in enumerate(a.captions)
    )
    return _html("", f'<h1 class="title">{a.title}</h1><p class="lead">{a.lead}</p><div class='
                 f'"photo-story">{shots}{_ps(a)}</div>', a, ld=True)  # fmt: skip


def image_tables(a: Parts) -> str:
    table = (
        f'<table class="picture" align="center"><tbody><tr><td class="pic"><img src="1.jpg">'
        f'</td></tr><tr><td class="caption"><p>{a.captions[0]}</p></td></tr></tbody></table>'
    )
    return _html("", f'<h1>{a.title}</h1><h4 class="lead">{a.lead}</h4><div id="main-detail-body">'
                 f'<p>{a.paragraphs[0]}</p>{table}'
                 + "".join(f"<p>{p}</p>" for p in a.paragraphs[1:]) + '</div>', a)  # fmt: skip


def agency(a: Parts) -> str:
    return _html("", f'<h1>{a.title}</h1><p class="sapo">{a.lead}</p><div class="entry">{_ps(a)}'
                 f'<p><em>Theo {a.byline}</em></p></div><div class="xem-them"><p>Xem thêm</p>'
                 f'<ul>{_links(a)}</ul></div>{_foot()}', a)  # fmt: skip


def schema_org(a: Parts) -> str:
    return _html("", f'<div itemscope itemtype="http://schema.org/NewsArticle"><h1 itemprop='
                 f'"headline">{a.title}</h1><meta itemprop="datePublished" content="{a.published}">'
                 f'<p itemprop="description">{a.lead}</p><div itemprop="articleBody">{_ps(a)}</div>'
                 f'<span itemprop="author">{a.byline}</span></div>', a)  # fmt: skip


def spans(a: Parts) -> str:
    return _html("", f'<h1>{a.title}</h1><h2 class="desc">{a.lead}</h2><div class="fulltext">'
                 + "".join(f'<p><span style="font-size:14px"><span>{p}</span></span></p>'
                           for p in a.paragraphs) + f'</div>{_foot()}', a)  # fmt: skip


def headed(a: Parts) -> str:
    return _html("", f'<header>{_menu()}</header><main><h1>{a.title}</h1><div class="date">'
                 f'{a.shown}</div><div class="sapo"><p>{a.lead}</p></div><div class="the-article-'
                 f'body">{_ps(a)}</div><aside><h3>Đọc nhiều</h3><ul>{_links(a)}</ul></aside>'
                 f'</main>{_foot()}', a)  # fmt: skip


def commented(a: Parts) -> str:
    talk = "".join(
        f'<div class="comment-item"><b>Bạn đọc {n}</b><p>Tôi thấy bài này đúng lắm, ở'
        f" quê tôi cũng làm như thế đã mấy năm nay rồi.</p></div>"
        for n in range(6)
    )
    return _html("", f'<h1>{a.title}</h1><p class="description">{a.lead}</p><article class='
                 f'"fck_detail">{_ps(a, " class=Normal")}<p class="author_mail"><strong>{a.byline}'
                 f'</strong></p></article><div class="box_comment">{talk}</div>', a)  # fmt: skip


TEMPLATES: Mapping[str, Callable[[Parts], str]] = {
    f.__name__: f
    for f in (
        vccorp, cms_body, bare_text, old_tables, amp, wordpress, divs, lead_in_body, lead_in_meta,
        related_inside, malformed, bootstrap, advertised, photo_story, image_tables, agency,
        schema_org, spans, headed, commented,
    )
}  # fmt: skip


def f1(found: str, wanted: str, size: int = 4) -> float:
    """Return the F1 of word shingles of two texts, as the article-extraction benchmark counts."""
    import re
    from collections import Counter

    def shingles(text: str) -> Counter[tuple[str, ...]]:
        words = re.findall(r"\w+", text)
        return Counter(zip(*(words[n:] for n in range(size)), strict=False))

    have, want = shingles(found), shingles(wanted)
    both = sum((have & want).values())
    return 2 * both / max(1, sum(have.values()) + sum(want.values()))
