"""What is kept of texts: those of many sentences, of pages the last one."""

from __future__ import annotations

from nlp.remembered import LONGEST, remembered


def test_many_sentences_are_kept_and_one_long_text() -> None:
    read: list[str] = []

    @remembered(2)
    def length(text: str, other: str = "") -> int:
        """Its words."""
        read.append(text[:3])
        return len(text) + len(other)

    assert [length("một"), length("một"), length("một", "hai")] == [3, 3, 6]
    assert read == ["một", "một"]
    first, second = "a" * (LONGEST + 1), "b" * (LONGEST + 1)
    assert length(first) == length(first) == LONGEST + 1
    assert read[2:] == ["aaa"]
    assert length("cc", second) == length("cc", second) == LONGEST + 3
    assert length(first) == LONGEST + 1
    assert read[3:] == ["cc", "aaa"]  # the second took the place of the first
    assert length("a" * LONGEST) == length("a" * LONGEST)
    assert read[5:] == ["aaa"]
    for text in ("hai", "ba", "một"):  # two are kept, the last ones
        length(text)
    assert read[6:] == ["hai", "ba", "một"]
    assert length.__doc__ == "Its words."
