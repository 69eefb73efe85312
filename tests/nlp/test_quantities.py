"""The grammar of quantities word by word: every unit, scale, number word, bound and comparison."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

import pytest

from nlp import quantities
from nlp.quantities import Bound, Quantity, QuantityKind, Relation, compare, extract, in_base

D = Decimal


def only(text: str) -> Quantity:
    (found,) = extract(text).quantities
    assert text[found.start : found.end] == found.text
    return found


def nothing(text: str) -> bool:
    return extract(text).quantities == ()


def test_what_the_module_offers_is_there() -> None:
    assert [n for n in quantities.__all__ if not hasattr(quantities, n)] == []


# -- units -------------------------------------------------------------------------------------

UNITS = {
    "percent": {"%": "phần trăm"},
    "percentage_point": {"điểm phần trăm": "điểm %"},
    "money": {"đồng": "đ|vnđ|vnd|đồng việt nam", "USD": "usd|đô la mỹ|đô la|đôla"},
    "area": {
        "ha": "hecta|héc ta|héc-ta", "m2": "m²|mét vuông|m vuông", "km2": "km²|ki lô mét vuông",
        "sào": "",
    },
    "mass": {"tấn": "", "tạ": "", "kg": "ki lô gam|kilôgam|cân|ký", "g": "gam|gram"},
    "length": {"km": "ki lô mét|cây số", "m": "mét", "cm": ""},
    "duration": {
        "ngày làm việc": "", "ngày": "", "tuần": "", "tháng": "", "quý": "", "năm": "",
        "giờ": "tiếng", "phút": "",
    },
    "age": {"tuổi": ""},
    "times": {"lần": ""},
    "count": {
        "thành viên": "xã viên|hội viên",
        "liên hiệp hợp tác xã": "liên hiệp htx|liên hiệp", "tổ hợp tác": "", "hợp tác xã": "htx",
        "phiếu": "phiếu bầu|phiếu biểu quyết|lá phiếu", "hộ": "hộ dân|hộ gia đình",
        "lao động": "người lao động", "người": "", "đại biểu": "", "cá nhân": "", "pháp nhân": "",
        "tổ chức": "", "doanh nghiệp": "", "nhiệm kỳ": "", "con": "", "cây": "", "xe": "",
        "tỉnh": "", "huyện": "", "thôn": "", "lớp": "", "dự án": "", "cơ sở": "", "sản phẩm": "",
        "học viên": "", "giám đốc": "", "kiểm soát viên": "", "kế toán": "", "cán bộ": "",
        "nông dân": "", "hộ nghèo": "", "chi nhánh": "", "cửa hàng": "", "điểm bán": "",
        "mô hình": "", "công trình": "", "hợp đồng": "", "hồ sơ": "", "bộ hồ sơ": "",
        "văn bản": "", "nghị quyết": "", "cuộc họp": "", "hội nghị": "", "trang trại": "",
        "nhà máy": "", "siêu thị": "", "nhà kho": "", "tài khoản": "", "bài viết": "",
        "vụ việc": "", "trường hợp": "", "địa phương": "", "quốc gia": "", "phụ lục": "",
        "phần mềm": "", "loại": "", "thị trường": "", "tiêu chí": "", "nhóm": "", "đơn vị": "",
        "đảng viên": "", "phụ nữ": "", "thanh niên": "", "bản": "", "làng": "", "suất": "",
        "gian hàng": "", "công ty": "", "ngân hàng": "", "kỳ họp": "", "chương": "",
        "điều khoản": "", "quỹ tín dụng nhân dân": "",
    },
}  # fmt: skip
FORMS = [
    (kind, unit, form)
    for kind, units in UNITS.items()
    for unit, others in units.items()
    for form in (unit, *filter(None, others.split("|")))
]


@pytest.mark.parametrize(("kind", "unit", "form"), FORMS)
def test_every_way_to_write_a_unit(kind: str, unit: str, form: str) -> None:
    for written in (f"có 37 {form}", f"có 37 {form.replace(' ', '  ')}.", f"CÓ 37 {form.upper()}"):
        found = only(written)
        assert (found.kind, found.unit, found.value) == (kind, unit, 37)
        assert (found.bound, found.upper, found.place, found.modifier) == ("exact", None, 1, "")
        assert found.end == len(written.rstrip("."))


def test_a_word_that_only_begins_as_a_unit_is_none() -> None:
    assert only("có 37 hộp").unit == "hộp"
    assert only("có 37 hộp").kind is QuantityKind.BARE
    assert only("có 5m đất").unit == "m"
    assert only("có 5đồng").kind is QuantityKind.BARE  # a long unit does not stick to its figure
    assert only("có 5ha").unit == "ha"
    assert only("có 5cây").unit == "cây"


@pytest.mark.parametrize(
    "modifier",
    ["chính thức", "liên kết không góp vốn", "liên kết góp vốn", "liên kết", "nông nghiệp",
     "phi nông nghiệp", "trở thành", "sáng lập", "nước ngoài", "tham dự", "thường xuyên", "làm việc"],
)  # fmt: skip
def test_a_modifier_goes_with_its_unit(modifier: str) -> None:
    for written in ("15", "mười lăm"):
        found = only(f"có {written} thành  viên {modifier.replace(' ', '  ')} ở xã")
        assert (found.value, found.unit, found.modifier) == (15, "thành viên", modifier)
        assert found.text.endswith(modifier.split()[-1])
    assert only("có 15 thành viên đông đủ").modifier == ""


BASES = {
    "ha": ("m2", "10000"), "m2": ("m2", "1"), "km2": ("m2", "1000000"), "tấn": ("kg", "1000"),
    "tạ": ("kg", "100"), "kg": ("kg", "1"), "g": ("kg", "0.001"), "km": ("m", "1000"),
    "m": ("m", "1"), "cm": ("m", "0.01"), "năm": ("tháng", "12"), "quý": ("tháng", "3"),
    "tháng": ("tháng", "1"), "tuần": ("ngày", "7"), "ngày": ("ngày", "1"), "đồng": ("đồng", "1"),
}  # fmt: skip


@pytest.mark.parametrize("unit", BASES)
def test_units_of_one_kind_share_a_base(unit: str) -> None:
    base, factor = BASES[unit]
    assert in_base(only(f"có 6 {unit}")) == (base, D(factor))


# -- numbers -----------------------------------------------------------------------------------

DIGITS = [
    ("7", "7", "1"), ("07", "7", "1"), ("0", "0", "1"), ("999", "999", "1"), ("1000", "1000", "1000"),
    ("1.000", "1000", "1000"), ("31.700", "31700", "100"), ("31.750", "31750", "10"),
    ("31.751", "31751", "1"), ("2,8", "2.8", "0.1"), ("2.8", "2.8", "0.1"), ("2,85", "2.85", "0.01"),
    ("1.234,5", "1234.5", "0.1"), ("1,234,567", "1234567", "1"), ("1,234,567.8", "1234567.8", "0.1"),
    ("1.234.567", "1234567", "1"), ("12.345.000", "12345000", "1000"), ("1.2345", "1.2345", "0.0001"),
    ("900", "900", "1"), ("1500", "1500", "100"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value", "place"), DIGITS)
def test_digits_in_either_format(written: str, value: str, place: str) -> None:
    found = only(f"thu {written} đồng")
    assert (found.value, found.place) == (D(value), D(place))


def test_nobody_counts_thousandths() -> None:
    assert only("có 29,378 hợp tác xã").value == 29378
    assert only("có 9,378 hộ").value == 9378
    assert only("nặng 29,378 tấn").value == D("29.378")
    assert only("có 0,378 hộ").value == D("0.378")
    assert only("có 29,37 hộ").value == D("29.37")
    assert only("có 29,378 triệu hộ").value == D("29378000")


SCALES = [
    ("2 nghìn", 2_000, 1_000), ("2 ngàn", 2_000, 1_000), ("2 vạn", 20_000, 10_000),
    ("2 triệu", 2_000_000, 10**6), ("2 tỷ", 2 * 10**9, 10**9), ("2 tỉ", 2 * 10**9, 10**9),
    ("2 nghìn tỷ", 2 * 10**12, 10**12), ("2 nghìn tỉ", 2 * 10**12, 10**12),
    ("2 ngàn tỷ", 2 * 10**12, 10**12), ("2 ngàn tỉ", 2 * 10**12, 10**12),
    ("2 triệu tỷ", 2 * 10**15, 10**15), ("2 trăm triệu", 2 * 10**8, 10**8),
    ("2 trăm nghìn", 2 * 10**5, 10**5), ("2 trăm ngàn", 2 * 10**5, 10**5),
    ("2,8 tỷ", 2_800_000_000, 10**8), ("1 tỷ 200 triệu", 1_200_000_000, 10**6),
    ("2 triệu rưỡi", 2_500_000, 10**5), ("1 tỷ 2,5 triệu", 1_002_500_000, 10**5),
    ("2triệu", 2_000_000, 10**6), ("1.500 tỷ", 1_500 * 10**9, 100 * 10**9),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value", "place"), SCALES)
def test_scales_after_digits(written: str, value: int, place: int) -> None:
    for text in (written, written.upper()):
        found = only(f"vay {text} đồng")
        assert (found.value, found.place, found.unit) == (value, place, "đồng")


WORDS = {
    "hai": 2, "ba": 3, "bốn": 4, "năm": 5, "sáu": 6, "bảy": 7, "bẩy": 7, "tám": 8, "chín": 9,
    "mười": 10, "mười một": 11, "mười lăm": 15, "hai mươi": 20, "hai chục": 20, "hai mươi mốt": 21,
    "hai mươi tư": 24, "ba mươi lăm": 35, "ba mươi nhăm": 35, "chín mươi chín": 99,
    "một trăm": 100, "một trăm linh năm": 105, "một trăm lẻ tám": 108, "một trăm mười": 110,
    "hai trăm ba mươi mốt": 231, "một trăm hai": 120, "hai nghìn": 2_000, "hai ngàn": 2_000,
    "hai vạn": 20_000, "một nghìn hai trăm": 1_200, "hai triệu": 2_000_000,
    "một triệu hai trăm nghìn": 1_200_000, "ba tỷ": 3 * 10**9, "ba tỉ": 3 * 10**9,
    "sáu nghìn tỷ": 6 * 10**12, "ba tỷ năm trăm triệu": 3_500_000_000,
    "hai triệu rưỡi": 2_500_000, "hai triệu tư": 2_400_000, "một nghìn không trăm linh một": 1_001,
    "năm trăm": 500, "năm mươi": 50, "năm nghìn": 5_000, "một nghìn rưỡi": 1_500,
    "hai trăm rưỡi": 250, "một nghìn hai trăm rưỡi": 1_250,
}  # fmt: skip


@pytest.mark.parametrize("written", WORDS)
def test_numbers_in_words(written: str) -> None:
    for text in (written, written.upper(), written.replace(" ", "  ")):
        found = only(f"vay {text} đồng")
        assert (found.value, found.upper, found.bound) == (WORDS[written], None, "exact")


@pytest.mark.parametrize(
    ("written", "place"),
    [("hai triệu rưỡi", 10**5), ("hai triệu tư", 10**5), ("một trăm hai", 10), ("hai", 1)],
)
def test_words_know_their_last_place(written: str, place: int) -> None:
    assert only(f"vay {written} đồng").place == place


@pytest.mark.parametrize(
    "written",
    ["tư", "không", "trăm", "mươi", "chục", "rưỡi", "linh", "lẻ", "mốt", "lăm", "nhăm",
     "hai hai", "hai mười", "mười trăm trăm"],
)  # fmt: skip
def test_words_that_are_no_number(written: str) -> None:
    assert nothing(f"gặp {written} hộ")


def test_one_thing_is_an_article_and_one_vote_is_a_count() -> None:
    assert nothing("có một hợp tác xã ở xã bên")
    assert only("có một phiếu").value == 1
    assert only("có ít nhất một hợp tác xã").value == 1
    assert only("vay một đồng").value == 1
    assert nothing("ông ba người xã bên")
    assert nothing("bà ba người xã bên")
    assert only("làng ba người ở").value == 3


@pytest.mark.parametrize(
    "before",
    ["mỗi", "hằng", "hàng", "cả", "trong", "nhiều", "vài", "đầu", "cuối", "giữa", "các", "những",
     "suốt", "từng", "mấy", "quanh", "hết", "thường", "sang", "qua", "từ", "đến", "trước", "sau",
     "của", "theo", "vào"],
)  # fmt: skip
def test_a_year_is_not_the_number_five(before: str) -> None:
    assert nothing(f"{before} năm hợp tác xã họp")
    assert only(f"{before} năm mươi hợp tác xã họp").value == 50
    assert only("gặp năm hợp tác xã").value == 5


# -- other shapes ------------------------------------------------------------------------------

FRACTIONS = [
    ("một nửa", "50", "exact"), ("quá bán", "50", "more_than"), ("quá nửa", "50", "more_than"),
    ("một phần tư", "25", "exact"), ("một phần hai", "50", "exact"), ("ba phần tư", "75", "exact"),
    ("hai phần năm", "40", "exact"), ("ba phần mười", "30", "exact"), ("bốn phần năm", "80", "exact"),
    ("Ít nhất một nửa", "50", "at_least"), ("ít nhất hai phần năm", "40", "at_least"),
    ("ít nhất 3/4", "75", "at_least"), ("3/4", "75", "exact"), ("1/2", "50", "exact"),
    ("3 / 5", "60", "exact"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value", "bound"), FRACTIONS)
def test_fractions_are_shares_of_a_hundred(written: str, value: str, bound: str) -> None:
    found = only(f"có {written} số thành viên tán thành")
    assert (found.kind, found.unit, found.value, found.bound) == ("percent", "%", D(value), bound)
    assert (found.place, found.upper) == (1, None)


def test_thirds_and_wholes() -> None:
    assert round(only("có hai phần ba số phiếu").value, 6) == D("66.666667")
    assert round(only("có một phần ba số phiếu").value, 6) == D("33.333333")
    assert round(only("có 2/3 số phiếu").value, 6) == D("66.666667")
    for written in ("3/3 thành viên", "4/3 thành viên"):
        assert all(q.kind is not QuantityKind.PERCENT for q in extract(f"có {written}").quantities)


@pytest.mark.parametrize(
    ("written", "value"),
    [("gấp đôi", "2"), ("gấp ba", "3"), ("gấp bốn", "4"), ("gấp rưỡi", "1.5"), ("gấp 3 lần", "3"),
     ("gấp 2,5 lần", "2.5"), ("GẤP ĐÔI", "2"), ("gấp ba lần", "3")],
)  # fmt: skip
def test_a_multiple(written: str, value: str) -> None:
    found = only(f"sản lượng {written} trước")
    assert (found.kind, found.unit, found.value) == ("times", "lần", D(value))
    assert (found.bound, found.place, found.text) == ("exact", 1, written)


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [("hàng chục", 10, 100), ("hàng trăm", 100, 1_000), ("cả nghìn", 1_000, 10_000),
     ("vài chục", 20, 100), ("mấy trăm", 200, 1_000), ("dăm chục", 20, 100),
     ("hàng chục nghìn", 10_000, 100_000), ("hàng trăm triệu", 10**8, 10**9),
     ("vài trăm ngàn", 200_000, 1_000_000), ("hàng vạn", 10_000, 100_000),
     ("hàng tỷ", 10**9, 10**10), ("hàng tỉ", 10**9, 10**10), ("Hàng Triệu", 10**6, 10**7)],
)  # fmt: skip
def test_vague_words_are_ranges(written: str, low: int, high: int) -> None:
    found = only(f"có {written} hộ dân")
    assert (found.value, found.upper, found.bound, found.unit) == (low, high, "range", "hộ")
    assert found.kind is QuantityKind.COUNT


RANGES = [
    ("2-3 triệu đồng", 2_000_000, 3_000_000), ("2–3 triệu đồng", 2_000_000, 3_000_000),
    ("2 đến 3 triệu đồng", 2_000_000, 3_000_000), ("2 tới 3 triệu đồng", 2_000_000, 3_000_000),
    ("2 triệu đến 3 triệu đồng", 2_000_000, 3_000_000), ("7-9 hộ", 7, 9), ("bảy đến chín hộ", 7, 9),
    ("bảy tới chín hộ", 7, 9), ("năm đến bảy hộ", 5, 7),
    ("từ 5 triệu đồng đến 10 triệu đồng", 5_000_000, 10_000_000),
    ("từ 5 ha - 10 ha", 5, 10),
]  # fmt: skip


@pytest.mark.parametrize(("written", "low", "high"), RANGES)
def test_ranges(written: str, low: int, high: int) -> None:
    found = only(f"khoản {written}")
    assert (found.value, found.upper, found.bound) == (low, high, "range")


def test_two_figures_that_are_no_range() -> None:
    for text in ("tăng từ 5 ha đến 10 ha", "giảm từ 5 ha đến 10 ha", "cả 5 ha đến 10 ha",
                 "từ 10 ha đến 5 ha", "từ 5 ha đến 10 tấn", "từ 5 ha và 10 ha"):  # fmt: skip
        assert [q.upper for q in extract(text).quantities] == [None, None], text
    assert only("khoản 9-7 hộ").upper is None


def test_what_the_money_is_for_is_no_figure() -> None:
    found = extract("lãi 2 triệu đồng một năm").quantities
    assert [(q.value, q.unit) for q in found] == [(2_000_000, "đồng")]
    assert [q.unit for q in extract("lãi 2 triệu đồng trong một năm").quantities] == ["đồng", "năm"]
    assert only("một năm qua").unit == "năm"


@pytest.mark.parametrize(
    "word", ["thứ", "lần", "số", "kỳ", "khóa", "khoá", "cấp", "hạng", "tập", "vụ"]
)
def test_a_bare_figure_behind_these_is_a_place_in_an_order(word: str) -> None:
    assert only(f"xếp {word} 3").kind is QuantityKind.ORDINAL
    assert only(f"xếp {word} 3 hộ").kind is QuantityKind.COUNT


def test_a_bare_figure_takes_the_noun_behind_it() -> None:
    found = only("có 12 giếng khoan")
    assert (found.kind, found.unit, found.text) == (QuantityKind.BARE, "giếng", "12")
    assert only("có 12 Giếng").unit == ""
    assert only("có 12. Giếng").unit == ""
    assert only("có 12").unit == ""


NOT_COUNTED = (
    "là và của thì ở tại trong đến trở so với cho từ hoặc nhưng đã được đang sẽ cũng như khi nếu mà"
    " để do vì trên dưới hơn bằng còn nên này đó ấy kia theo về ra vào lên xuống"
)


@pytest.mark.parametrize("word", NOT_COUNTED.split())
def test_a_word_of_grammar_is_never_counted(word: str) -> None:
    assert extract(f"có 12 {word} xã").quantities[0].unit == ""


def test_a_date_and_a_law_own_their_digits() -> None:
    for text in ("ngày 5/4/2021", "năm 2023", "Điều 9 Luật Hợp tác xã 2023", "Luật 17/2023/QH15"):
        assert nothing(text), text
    found = extract("Điều 9 nói 5 hộ, ngày 5/4/2021 có 6 hộ")
    assert [q.value for q in found.quantities] == [5, 6]
    assert (len(found.dates), len(found.legal_refs)) == (1, 1)


# -- bounds ------------------------------------------------------------------------------------

PREFIXES = {
    "at_most": "tối đa|nhiều nhất|không quá|không được quá|không vượt quá|không được vượt quá|"
    "không được vượt|không ai góp quá|không cho ai góp quá|chưa quá|chưa vượt quá|cao nhất|"
    "không hơn|không nhiều hơn|không cao hơn|không lớn hơn|chậm nhất|mức trần|trần|giới hạn|"
    "khống chế|dài nhất|trong vòng|trong thời hạn|được lên đến|được phép góp lên tới|"
    "được góp lên tới|không được lớn hơn",
    "at_least": "ít nhất|tối thiểu|không dưới|không được dưới|không ít hơn|không được ít hơn|"
    "không thấp hơn|không được thấp hơn|chí ít|thấp nhất|từ đủ|ngắn nhất|không nhỏ hơn|"
    "không được nhỏ hơn|chỉ cần|cần có|cần|phải có|phải đủ|phải đạt|bắt buộc có|có đủ|đủ|đòi hỏi|"
    "yêu cầu",
    "less_than": "dưới|chưa đến|chưa tới|chưa đầy|thấp hơn|ít hơn|nhỏ hơn|không đến|không tới",
    "more_than": "hơn|trên|vượt quá|vượt|nhiều hơn|cao hơn|lớn hơn|quá",
    "about": "gần|khoảng|chừng|xấp xỉ|ước khoảng|ước tính|ước|cỡ|độ|tầm|vào khoảng|ngót|suýt soát",
}
BOUNDS = [(bound, words) for bound, every in PREFIXES.items() for words in every.split("|")]


@pytest.mark.parametrize(("bound", "words"), BOUNDS)
def test_words_before_a_figure_that_bound_it(bound: str, words: str) -> None:
    for text in (f"hộ này {words} 30 tấn", f"HỘ NÀY {words.upper()} 30 TẤN",
                 f"hộ này {words.replace(' ', '  ')}  30 tấn"):  # fmt: skip
        assert only(text).bound == bound, text
    assert only(f"hộ này {words}: có 30 tấn").bound == "exact"  # another clause
    assert only(f"hộ này {words}x 30 tấn").bound == "exact"


@pytest.mark.parametrize(
    "filler",
    ["là", "phải", "có", "được", "cũng", "chỉ", "đạt", "bằng", "gồm", "tới", "đến", "mức",
     "ở mức", "đủ", "cả", "tổng số", "từ", "khoảng", "là ở mức"],
)  # fmt: skip
def test_small_words_may_stand_between(filler: str) -> None:
    assert only(f"hộ này tối đa {filler} 30 tấn").bound == "at_most"


def test_a_larger_word_between_ends_the_bound() -> None:
    assert only("tối đa như hộ này 30 tấn").bound == "exact"
    assert only("tối đa " + "của " * 20 + "30 tấn").bound == "exact"


SUFFIXES = {
    "at_least": "trở lên|là tối thiểu|là ít nhất",
    "at_most": "trở xuống|là tối đa|là nhiều nhất|là cùng",
}


@pytest.mark.parametrize(
    ("bound", "words"), [(b, w) for b, every in SUFFIXES.items() for w in every.split("|")]
)
def test_words_behind_a_figure_that_bound_it(bound: str, words: str) -> None:
    assert only(f"nặng 30 tấn {words}").bound == bound
    assert only(f"NẶNG 30 TẤN {words.upper()}").bound == bound
    assert only(f"nặng 30 tấn lúa tươi mới gặt {words}").bound == bound
    assert only(f"nặng 30 tấn lúa tươi mới gặt về {words}").bound == "exact"
    assert only(f"nặng 30 tấn, {words}").bound == "exact"
    assert only(f"nặng 30 tấn {words}x").bound == "exact"


# -- comparison --------------------------------------------------------------------------------


def quantity(
    value: str, bound: str = "exact", *, unit: str = "thành viên", kind: str = "count",
    upper: str = "", place: str = "1",
) -> Quantity:  # fmt: skip
    return Quantity(
        start=0, end=1, text="x", kind=QuantityKind(kind), value=D(value),
        upper=D(upper) if upper else None, unit=unit, bound=Bound(bound), place=D(place),
    )  # fmt: skip


MIRROR = {Relation.NARROWER: Relation.WIDER, Relation.WIDER: Relation.NARROWER}
PAIRS: list[tuple[str, str, str]] = [
    # figures
    ("5 exact", "5 exact", "equal"), ("5 exact", "6 exact", "contradicts"),
    ("999 exact", "998 exact", "contradicts"), ("5.4 exact/0.1", "5.36 exact/0.01", "equal"),
    ("5.4 exact/0.1", "5.34 exact/0.01", "contradicts"), ("31700 exact/100", "31650 exact", "equal"),
    ("31700 exact/100", "31649 exact", "contradicts"), ("1000 exact", "1001 exact", "contradicts"),
    ("5.5 exact", "5 exact", "equal"), ("2000 exact/1000", "2500 exact", "equal"),
    # about
    ("100 about", "95 exact", "equal"), ("100 about", "94 exact", "contradicts"),
    ("100 about", "105 exact", "equal"), ("100 about", "106 exact", "contradicts"),
    ("100 about", "95 about", "equal"),
    # limits
    ("5 at_least", "5 at_least", "equal"), ("5 at_least", "6 at_least", "contradicts"),
    ("5 at_least", "5 more_than", "equal"), ("5 at_most", "5 less_than", "equal"),
    ("5 at_least", "5 at_most", "contradicts"), ("5 at_least", "6 at_most", "unrelated"),
    ("5 more_than", "4 less_than", "unrelated"),
    # a figure and a limit
    ("5 exact", "5 at_least", "narrower"), ("4 exact", "5 at_least", "contradicts"),
    ("5 exact", "5 at_most", "narrower"), ("6 exact", "5 at_most", "contradicts"),
    ("50 exact", "50 more_than", "narrower"), ("49 exact", "50 more_than", "contradicts"),
    ("50 exact", "50 less_than", "narrower"), ("51 exact", "50 less_than", "contradicts"),
    ("110 exact", "100 more_than", "equal"), ("100 exact", "100 more_than", "equal"),
    ("111 exact", "100 more_than", "narrower"), ("108 exact", "99 more_than", "narrower"),
    ("90 exact", "100 less_than", "equal"), ("89 exact", "100 less_than", "narrower"),
    ("100 exact", "100 less_than", "equal"), ("105 exact", "100 at_least", "narrower"),
    ("95 exact", "100 at_most", "narrower"), ("100 about", "50 at_least", "narrower"),
    # ranges
    ("5..9 range", "5..9 range", "equal"), ("5..9 range", "5..8 range", "contradicts"),
    ("5..9 range", "4..9 range", "contradicts"), ("5 exact", "5..9 range", "narrower"),
    ("9 exact", "5..9 range", "narrower"), ("4 exact", "5..9 range", "contradicts"),
    ("10 exact", "5..9 range", "contradicts"), ("5..9 range", "5 at_least", "narrower"),
    ("5..9 range", "6 at_least", "contradicts"), ("5..9 range", "9 at_most", "narrower"),
    ("5..9 range", "8 at_most", "contradicts"), ("5..9 range", "5 more_than", "narrower"),
    ("5..9 range", "9 less_than", "narrower"), ("5 range", "5 exact", "wider"),
]  # fmt: skip


def read(written: str) -> Quantity:
    amount, bound = written.split()
    bound, _, place = bound.partition("/")
    low, _, high = amount.partition("..")
    return quantity(low, bound, upper=high, place=place or "1")


@pytest.mark.parametrize(("one", "other", "relation"), PAIRS)
def test_how_two_quantities_stand_to_each_other(one: str, other: str, relation: str) -> None:
    a, b, wanted = read(one), read(other), Relation(relation)
    assert compare(a, b) is wanted
    assert compare(b, a) is MIRROR.get(wanted, wanted)


def test_units_are_turned_into_each_other_and_kinds_are_not() -> None:
    hectare, metres = (
        quantity("1", unit="ha", kind="area"),
        quantity("10000", unit="m2", kind="area"),
    )
    assert compare(hectare, metres) is Relation.EQUAL
    assert compare(hectare, quantity("4000", unit="m2", kind="area")) is Relation.CONTRADICTS
    assert compare(hectare, quantity("1", unit="sào", kind="area")) is Relation.OTHER_UNIT
    assert compare(hectare, quantity("1", unit="kg", kind="mass")) is Relation.UNRELATED
    assert compare(quantity("1"), quantity("1", unit="", kind="bare")) is Relation.OTHER_UNIT
    year, months = (
        quantity("5", unit="năm", kind="duration"),
        quantity("60", unit="tháng", kind="duration"),
    )
    assert compare(year, months) is Relation.EQUAL
    limit = quantity("60", "at_most", unit="tháng", kind="duration")
    assert compare(year, limit) is Relation.NARROWER
    tonnes = quantity("2", "range", unit="tấn", kind="mass", upper="3")
    kilos = quantity("2000", "range", unit="kg", kind="mass", upper="3000")
    assert compare(tonnes, kilos) is Relation.EQUAL
    assert compare(quantity("2500", unit="kg", kind="mass"), tonnes) is Relation.NARROWER
    assert compare(quantity("2.54", unit="tấn", kind="mass", place="0.01"),
                   quantity("2500", unit="kg", kind="mass", place="100")) is Relation.EQUAL  # fmt: skip


def test_people_are_people() -> None:
    words = ("người", "thành viên", "cá nhân", "đại biểu", "lao động")
    for one, other in product(words, words):
        assert compare(quantity("5", unit=one), quantity("5", unit=other)) is Relation.EQUAL
    assert compare(quantity("5"), quantity("5", unit="hộ")) is Relation.OTHER_UNIT
