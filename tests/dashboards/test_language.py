"""Both catalogues hold the same texts, and every text that the pages name is there."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from dashboards import language, words
from kiemchung.domain import Decision
from tests.dashboards.conftest import Person, field

ROOT = Path(__file__).resolve().parents[2] / "dashboards"
# Named by the program from a value, not in full: the group and the keys are compared elsewhere.
BY_VALUE = {
    "decision", "label", "status", "reason", "distortion", "checkability", "speech", "as_of",
    "kind", "view", "outcome",
}  # fmt: skip


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys_with_the_same_places() -> None:
    vi, en = (language.catalogue(code) for code in language.LANGUAGES)
    assert list(vi) == list(en), set(vi) ^ set(en)
    for key, text in vi.items():
        assert places(text) == places(en[key]), key
        assert text.strip() == text != "", key


def test_every_text_that_is_named_exists_and_every_text_is_named() -> None:
    known = set(language.catalogue("vi"))
    named: set[str] = set()
    stems: set[str] = set()
    sources = [*ROOT.glob("templates/*.html"), *ROOT.glob("*.py")]
    for source in sources:
        text = source.read_text(encoding="utf-8")
        named |= set(re.findall(r"""\b(?:t|say)\(\s*f?["']([a-z_]+\.[\w.]+)["']""", text))
        named |= set(re.findall(r"""\bkey=["']([a-z_]+\.[\w.]+)["']""", text))
        stems |= set(re.findall(r"""\b(?:t|say)\(f["']([a-z_.]+)\.\{""", text))
        stems |= set(re.findall(r"""\bt\(["']([a-z_.]+)\.["'] ~""", text))
    assert named <= known, sorted(named - known)
    unused = {k for k in known - named if k.rpartition(".")[0] not in BY_VALUE | stems}
    assert not unused, sorted(unused)


@pytest.mark.parametrize("code", language.LANGUAGES)
def test_every_value_of_every_enumeration_has_a_word(code: str) -> None:
    texts = language.catalogue(code)
    for group in vars(words).values():
        if isinstance(group, language.Words):
            for key in group:
                assert f"{group._group}.{key}" in texts
    for banned in ("tin giả", "xuyên tạc", "fake", "lie", "misinformation"):
        assert not [k for k, t in texts.items() if re.search(rf"\b{banned}\b", t.lower())]


def test_a_page_is_vietnamese_until_somebody_switches(an: Person) -> None:
    an.get("/password")
    assert '<html lang="vi">' in an.page
    assert "Đổi mật khẩu" in an.page
    csrf = field(an.page, "csrf")
    answer = an.client.post("/language", data={"csrf": csrf, "language": "en", "back": "/mine"})
    assert str(answer.url).endswith("/mine")
    an.get("/password")
    assert '<html lang="en">' in an.page
    assert "Change the password" in an.page
    assert not re.search("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệịỉĩọỏốồổỗộớờởỡợụủũứừửữựỳỵỷỹ]", re.sub(
        r'<button class="plain" name="language".*?</button>', "", an.page))  # fmt: skip
    an.post("/language", language="vi")
    an.get("/password")
    assert "Đổi mật khẩu" in an.page


def test_the_switch_works_before_the_sign_in_and_needs_a_token(browser_of: type[Person]) -> None:
    person = browser_of()  # type: ignore[call-arg]
    person.get("/login")
    page = person.page
    assert person.client.post("/language", data={"language": "en"}).status_code == 403
    person.page = page
    person.post("/language", language="en", back="/login")
    person.get("/login")
    assert "Sign in" in person.page
    person.post("/language", language="xx")
    person.get("/login")
    assert "Đăng nhập" in person.page
    person.client.cookies.set(language.COOKIE, "../../etc")
    person.get("/login")
    assert "Đăng nhập" in person.page


def test_outside_a_request_the_words_are_vietnamese() -> None:
    assert words.DECISIONS[Decision.REFUTED] == "Trái với căn cứ"
    assert list(words.DECISIONS) == list(Decision)
    with pytest.raises(KeyError):
        words.DECISIONS["NOTHING"]  # type: ignore[index]
