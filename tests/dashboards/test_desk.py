"""What the desk keeps beside a conclusion, as a browser without scripts sees it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import deskview, keymap, marking
from dashboards.shell import Shell
from kiemchung.domain import Decision
from kiemchung.errors import InputError
from kiemchung.store import Store, details, search
from kiemchung.store.inbox import write_batch
from tests.batches import FLAG_CLAIM, NEW_PASSAGE, OLD_PASSAGE, batch, passage
from tests.dashboards.conftest import Person, enrol, field

FURTHER = passage("56", "Hợp tác xã quy mô lớn tổ chức quản trị đầy đủ.")


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))


def sent(page: str, **more: object) -> dict[str, object]:
    """The form as a browser would send it: what is ticked and what was listed."""
    ticked = {
        name: re.findall(rf'name="{name}" value="([^"]*)"[^>]* checked', page)
        for name in ("cite", "copies", "kind")
    }
    return ticked | {"copies_shown": re.findall(r'name="copies_shown" value="(\d+)"', page)} | more


@pytest.fixture
def copied(store: Store, tmp_path: Path) -> Store:
    """The flagged claim at four places, and a passage that nothing shows."""
    given_ = batch(copies=3)
    more = replace(given_, passages=(*given_.passages, FURTHER))
    write_batch(tmp_path / "inbox", more)
    store.merge_inbox(tmp_path / "inbox")
    store.double_share = 0.0
    search.catch_up(store)
    return store


def test_all_that_is_filled_in_comes_through_both_looks_to_the_store(
    copied: Store, an: Person
) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    left = re.findall(r'name="copies_shown" value="(\d+)"', an.page)
    assert len(left) == 3
    form = sent(an.page, kind=["number"], note="ghi", correction="7 → 5", copies=left[1:])
    assert an.post(f"/item/{key}/choose", decision="REFUTED", **form) == 200
    # The second look finds everything as it was left.
    assert 'value="7 → 5"' in an.page
    assert ">ghi</textarea>" in an.page
    again = sent(an.page)
    assert again["copies"] == left[1:]
    assert again["kind"] == ["number"]
    assert again["cite"] == [NEW_PASSAGE.passage_id]
    form = again | {"note": "ghi", "correction": "7 → 5"}
    assert an.post(f"/item/{key}/decide", decision="REFUTED", **form) == 200
    (past,) = details.history(copied, key).decisions
    assert (past.correction, past.copies, past.decision) == ("7 → 5", 2, Decision.REFUTED)
    an.get("/queue")
    assert f"/item/{left[0]}?" in an.page, "the exception goes on waiting"
    assert an.page.count(FLAG_CLAIM) == 1


def test_the_law_before_and_after_stand_side_by_side_on_both_sides_of_the_change() -> None:
    (change,) = deskview.changes(NEW_PASSAGE, OLD_PASSAGE, None)
    (same,) = deskview.changes(OLD_PASSAGE, None, NEW_PASSAGE)
    assert change == same
    assert [s.text for s in change.old if s.changed] == ["7"]
    assert [s.text for s in change.new if s.changed] == ["5", "chính thức"]
    assert deskview.changes(NEW_PASSAGE, None, None) == ()
    assert deskview.changes(NEW_PASSAGE, replace(OLD_PASSAGE, text=NEW_PASSAGE.text), None) == ()


@given(old=st.text(max_size=80), new=st.text(max_size=80))
def test_compared_wordings_keep_every_letter(old: str, new: str) -> None:
    left, right = marking.compare(old, new)
    assert "".join(s.text for s in left) == old
    assert "".join(s.text for s in right) == new
    same = [s.text for s in marking.compare(old, old)[0] if s.changed]
    assert same == []


def test_own_passages_are_looked_up_and_cited(copied: Store, an: Person) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    form = sent(an.page, note="đang viết", correction="dở dang")
    assert an.post(f"/item/{key}/find", find="quy mo LON", **form) == 200
    assert FURTHER.text in plain(an.page)
    assert ">đang viết</textarea>" in an.page
    assert 'value="dở dang"' in an.page
    assert copied._read("SELECT * FROM blind_choice") == []
    form = sent(an.page, cite=[FURTHER.passage_id])
    assert an.post(f"/item/{key}/choose", decision="REFUTED", **form) == 200
    assert sent(an.page)["cite"] == [FURTHER.passage_id]
    assert an.post(f"/item/{key}/decide", decision="REFUTED", **sent(an.page)) == 200
    assert copied.reviews()[-1].cited_passages == (FURTHER.passage_id,)
    assert copied._read("SELECT own FROM review_citation") == [{"own": True}]
    assert copied.problems() == []


def test_looking_up_says_what_was_not_found_and_what_stands_above(
    copied: Store, an: Person
) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/find", find="không có đâu")
    assert "Không thấy căn cứ nào" in an.page
    an.get(f"/item/{key}")
    an.post(f"/item/{key}/find", find="ít nhất")
    assert "đã ở trên" in an.page
    an.get(f"/item/{key}")
    form = {"csrf": field(an.page, "csrf"), "token": field(an.page, "token"), "find": "quy mô lớn"}
    answer = an.client.post(f"/item/{key}/find", data=form, headers={"HX-Request": "true"})
    assert answer.text.lstrip().startswith('<div id="found"')
    assert FURTHER.passage_id in answer.text


def test_a_passage_of_another_time_is_refused_in_place(copied: Store, an: Person) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    bad = [OLD_PASSAGE.passage_id]
    assert an.post(f"/item/{key}/choose", decision="REFUTED", cite=bad, note="giữ") == 422
    assert "không có hiệu lực vào ngày đó" in an.page
    assert ">giữ</textarea>" in an.page
    assert copied._read("SELECT * FROM blind_choice") == []


def test_history_is_counted_at_once_but_conclusions_are_told_after_the_choice(
    copied: Store, an: Person, browser_of: type[Person]
) -> None:
    key = an.first_item()
    an.get(f"/item/{key}")
    assert "4 lần, 4 tin, 2 báo" in plain(an.page)
    an.post(f"/item/{key}/choose", decision="SUPPORTED")
    an.post(f"/item/{key}/decide", decision="SUPPORTED", correction="không cần")
    enrol(copied, "binh")
    binh = browser_of()  # type: ignore[call-arg]
    binh.sign_in("binh", "mật khẩu đủ dài")
    copies = [p.mention_key for p in details.history(copied, key).places if p.mention_key != key]
    for place in (key, copies[0]):
        binh.get(f"/item/{place}?view=all")
        assert "không cần" not in binh.page
        assert "Kết luận trước đây hiện ra sau" in binh.page
        binh.post(f"/item/{place}/choose", decision="CONFLICTING")
        assert "không cần" in binh.page
        assert "áp dụng cho 3 bản khác" in binh.page
        assert f'href="/item/{key}?view=all"' in binh.page


def test_one_can_jump_to_a_number_of_the_list(an: Person) -> None:
    an.get("/queue?view=all")
    keys = re.findall(r'claimtext" href="/item/(\d+)', an.page)
    an.get("/jump?view=all&n=7")
    assert an.path.startswith(f"/item/{keys[6]}?")
    assert 'name="n" value="7"' in an.page
    an.get("/jump?view=all&n=9999999")
    assert f'name="n" value="{len(keys)}"' in an.page
    an.get("/jump?view=all&n=x")
    assert an.path.startswith("/queue")


def test_search_finds_filters_and_pages(copied: Store, an: Person) -> None:
    an.get("/search")
    assert "claimtext" not in an.page
    an.get("/search?q=luat+HIEN+hanh")
    assert an.page.count("claimtext") == 1
    assert FLAG_CLAIM in an.page
    assert "cần xem lại</span>" not in an.page, "a hit does not tell what the machine thinks"
    an.get("/search?q=hop+tac+xa&outlet=nui-cao&week=2026-W40&decision=waiting")
    assert an.page.count("claimtext") == 25
    (older,) = re.findall(r'href="(/search\?[^"]*before=[^"]*)"', an.page)
    an.get(older.replace("&amp;", "&"))
    assert an.page.count("claimtext") == 15
    assert "before=" not in an.page
    an.get("/search?q=hop+tac+xa&decision=SUPPORTED")
    assert "Không có khẳng định nào như vậy" in an.page
    assert an.get("/search?q=x&decision=FAKE") == 200
    assert an.get(f"/search?q={'a' * 201}") == 422
    an.get('/search?q="><script>1</script>')
    assert "<script>1" not in an.page


def test_a_search_from_the_page_itself_is_answered_with_its_hits_alone(
    copied: Store, an: Person
) -> None:
    whole = an.client.get("/search?q=luat+hien+hanh").text
    part = an.client.get("/search?q=luat+hien+hanh", headers={"HX-Request-Type": "partial"}).text
    assert part.startswith('<div id="hits"')
    assert part.count("claimtext") == whole.count("claimtext") == 1
    assert "<html" not in part
    assert an.client.get("/search?q=x", headers={"HX-Request-Type": "full"}).text.startswith(
        "<!doctype"
    )


# -- keys ---------------------------------------------------------------------------------------


def test_keys_of_ones_own_are_kept_for_the_account_and_shown(
    copied: Store, an: Person, browser_of: type[Person]
) -> None:
    an.get("/keys")
    assert an.post("/keys", next="j", REFUTED="F2 q", undo="") == 200
    key = an.first_item()
    an.get(f"/item/{key}")
    assert re.search(r'data-key="F2 q"[^>]*value="REFUTED"[^>]*><kbd>F2</kbd>', an.page)
    assert 'rel="next" data-key="j"' in an.page
    enrol(copied, "binh")
    binh = browser_of()  # type: ignore[call-arg]
    binh.sign_in("binh", "mật khẩu đủ dài")
    binh.get("/queue")
    assert 'data-key="u"' in binh.page
    an.get("/queue")
    assert 'data-key=""' in an.page
    an.get("/keys")
    an.post("/keys", standard="1")
    an.get(f"/item/{key}")
    assert 'rel="next" data-key="ArrowRight n"' in an.page


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"next": "p"}, "Phím p đang được dùng cho cả “Mục sau” và “Mục trước”"),
        ({"next": "j", "undo": "j"}, "Phím j"),
        ({"next": "Escape"}, "Không dùng được phím này"),
        ({"next": "Q"}, "Không dùng được phím này"),
        ({"next": "a b c d"}, "Không dùng được phím này"),
        ({"next": "<script>"}, "Không dùng được phím này"),
    ],
)
def test_a_conflict_or_an_unknown_key_is_refused(
    an: Person, store: Store, wanted: dict[str, str], said: str
) -> None:
    an.get("/keys")
    assert an.post("/keys", **wanted) == 422
    assert said in plain(an.page).replace("&lt;", "<")
    assert "<script>&" not in an.page
    assert store._read("SELECT * FROM preference") == []


actions = st.sampled_from(list(keymap.DEFAULTS))
names = st.lists(st.sampled_from([*"abcdefghij0123456789", *keymap.NAMED]), max_size=3)


@given(wanted=st.dictionaries(actions, names.map(" ".join)))
def test_a_keymap_never_has_one_key_for_two_actions_and_is_read_as_written(
    wanted: dict[str, str],
) -> None:
    try:
        held = keymap.read(wanted)
    except InputError:
        spread = [k for a in keymap.DEFAULTS for k in set(
            wanted[a].split() if a in wanted else keymap.DEFAULTS[a])]  # fmt: skip
        assert len(spread) > len(set(spread))
        return
    used = [key for names in held.keys.values() for key in names]
    assert len(used) == len(set(used))
    assert keymap.read(keymap.written(held)) == held


def test_a_keymap_of_another_version_falls_back_to_the_standard(store: Store, an: Person) -> None:
    from kiemchung.store.preferences import set_preference

    account = store.authenticate("an", "mật khẩu đủ dài")
    assert account is not None
    set_preference(store, account, "keys", {"an old action": "z"})
    shell = an.client.app.state.shell  # type: ignore[attr-defined]
    assert isinstance(shell, Shell)
    shell.keymaps.clear()
    assert shell.keymap_of(account) == keymap.STANDARD
