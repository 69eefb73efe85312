"""PhoBERT's two-file tokenizer format as an exact fast BPE.

``vocab.txt`` (token SPACE count) and ``bpe.codes`` (left SPACE right SPACE count) are what
PhoBERT publishes; `transformers` reads them with a slow tokenizer only. Here the same ids come out
of the `tokenizers` library, from any two files of that format: the published ones (64,001 ids) or a
small own vocabulary.

Ids: four specials 0-3, the lines of vocab.txt from 4 on, ``<mask>`` last. Symbols that merges make
but the vocabulary lacks get ids above the mask, so that the merges stay legal, and are mapped to
``<unk>`` after encoding: unmapped, they would index past the embedding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.trainers import BpeTrainer

from kiemchung.errors import InputError, ModelError

BOS, PAD, EOS, UNK = 0, 1, 2, 3
SPECIALS: Final = ("<s>", "<pad>", "</s>", "<unk>")
MASK: Final = "<mask>"
MAX_LENGTH: Final = 256
VOCAB_FILE: Final = "vocab.txt"
CODES_FILE: Final = "bpe.codes"

_SPACES: Final = re.compile(r"[\s\x1c-\x1f]+")
_CONTROL: Final = re.compile(r"<(/?s|pad|unk|mask)>", re.IGNORECASE)
_END: Final = "</w>"
_MOST: Final = 50_000  # a word counts at most this often: the ranks do not change, memory does


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Ids of one sequence with its specials; no padding, ever."""

    ids: tuple[int, ...]
    truncated: bool


class PhobertBpe:
    """The tokenizer of a folder with ``vocab.txt`` and ``bpe.codes``."""

    __slots__ = ("_bpe", "dropped_codes", "extra_ids", "mask_id", "merges", "names", "size")

    def __init__(self, vocab: Path, codes: Path) -> None:
        names = _read_vocab(vocab)
        ids = {name: i for i, name in enumerate(SPECIALS)}
        for name in names:
            if name in ids:
                raise ModelError(f"token {name!r} twice", where=str(vocab))
            ids[name] = len(ids)
        self.names = (*ids, "<mask>")
        self.mask_id = len(ids)
        self.size = self.mask_id + 1
        table = {_merge_name(name): i for name, i in ids.items() if i > UNK}
        if len(table) != len(names):
            raise ModelError("two tokens become one name", where=str(vocab))
        merges, self.dropped_codes = _read_codes(codes)
        self.merges = len(merges)
        extra = self.size
        for left, right in merges:
            for symbol in (left, right, left + right):
                if symbol not in table:
                    table[symbol] = extra
                    extra += 1
        self.extra_ids = extra - self.size
        table["<unk>"] = UNK
        self._bpe = Tokenizer(
            BPE(
                vocab=table,
                merges=merges,
                unk_token="<unk>",
                end_of_word_suffix=_END,
                fuse_unk=False,
            )
        )
        self._bpe.pre_tokenizer = Split(Regex(r"[\s\x1c-\x1f]+"), behavior="removed")

    @classmethod
    def of_folder(cls, folder: Path) -> PhobertBpe:
        """Return the tokenizer of a folder.

        Raises:
            ModelError: a file is missing or not of the format.
        """
        return cls(folder / VOCAB_FILE, folder / CODES_FILE)

    def ids(self, text: str) -> list[int]:
        """Return the ids of word-segmented ``text`` without specials; none is above ``mask_id``.

        White space is collapsed first (the slow tokenizer glues a newline to the word before it),
        and the five control literals are taken apart, so that a crawled page cannot inject them.
        """
        plain = neutral(text)
        return [i if i <= self.mask_id else UNK for i in self._bpe.encode(plain).ids]

    def encode(self, text: str, *, longest: int = MAX_LENGTH) -> Encoded:
        """Return ``<s> text </s>``, cut to ``longest`` ids in all."""
        found = self.ids(text)
        kept = found[: longest - 2]
        return Encoded(ids=(BOS, *kept, EOS), truncated=len(kept) < len(found))

    def encode_pair(self, first: str, second: str, *, longest: int = MAX_LENGTH) -> Encoded:
        """Return ``<s> first </s></s> second </s>``; the longer side is cut to fit."""
        a, b = self.ids(first), self.ids(second)
        room = longest - 4
        whole = len(a) + len(b)
        if whole > room:
            shorter = min(len(a), len(b))
            keep_short = min(shorter, room // 2)
            if len(a) <= len(b):
                a, b = a[:keep_short], b[: room - keep_short]
            else:
                a, b = a[: room - keep_short], b[:keep_short]
        ids = (BOS, *a, EOS, EOS, *b, EOS)
        return Encoded(ids=ids, truncated=whole > room)


def neutral(text: str) -> str:
    """Return ``text`` with single spaces and without control literals."""
    return _CONTROL.sub(r"‹\1›", _SPACES.sub(" ", text)).strip()


def _merge_name(name: str) -> str:
    return name[:-2] if name.endswith("@@") else name + _END


def _read_vocab(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"no vocabulary: {error}", where=str(path)) from error
    names = []
    for number, line in enumerate(lines, start=1):
        row = line.strip()
        if not row:
            continue
        at = row.rfind(" ")
        if at <= 0:
            raise ModelError("not TOKEN SPACE COUNT", where=f"{path}:{number}")
        names.append(row[:at])
    if not names:
        raise ModelError("an empty vocabulary", where=str(path))
    return names


def _read_codes(path: Path) -> tuple[list[tuple[str, str]], int]:
    """Return the merges in order, and how many lines do not hold two symbols.

    The published file has 22 such lines: one side is a no-break space or empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"no merges: {error}", where=str(path)) from error
    if lines and lines[-1] == "":
        lines.pop()
    merges: list[tuple[str, str]] = []
    seen: set[tuple[str, str]] = set()
    dropped = 0
    for line in lines:
        parts = line.split()[:-1]
        if len(parts) != 2:
            dropped += 1
            continue
        pair = (parts[0], parts[1])
        if pair not in seen:
            seen.add(pair)
            merges.append(pair)
    if not merges:
        raise ModelError("no merges", where=str(path))
    return merges, dropped


def train_files(sentences: Sequence[str], folder: Path, *, size: int) -> Path:
    """Learn a BPE of at most ``size`` ids and write it in the two-file format.

    The greedy pair merging of Sennrich et al. 2016 over white-space words, by the `tokenizers`
    library. Pieces that only lead to longer ones get no id; the same text gives the same files.

    Raises:
        ValueError: no words to learn from.
        InputError: so few ids that not even single characters fit.
    """
    counts: dict[str, int] = {}
    for sentence in sentences:
        for word in neutral(sentence).split():
            counts[word] = counts.get(word, 0) + 1
    if not counts:
        raise ValueError("no words to learn from")
    room = size - len(SPECIALS) - 1
    if room < 16:
        raise InputError(f"{size} ids hold no alphabet", where="vocabulary", remedy="at least 21")
    # Chosen here: among equally frequent characters the library's choice varies from run to run.
    letters: dict[str, int] = {}
    for word, n in counts.items():
        for letter in word:
            letters[letter] = letters.get(letter, 0) + n
    most = max(16, room // 10)
    alphabet = sorted(letters, key=lambda c: (-letters[c], c))[:most]
    learner = Tokenizer(BPE(unk_token="<unk>", end_of_word_suffix=_END))
    learner.pre_tokenizer = Split(Regex(r"[\s\x1c-\x1f]+"), behavior="removed")
    trainer = BpeTrainer(
        vocab_size=room + 1,
        special_tokens=["<unk>"],
        min_frequency=2,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        end_of_word_suffix=_END,
        show_progress=False,
    )
    learner.train_from_iterator(
        (" ".join([word] * min(n, _MOST)) for word, n in sorted(counts.items())), trainer
    )
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    used: dict[str, int] = {}
    words = list(counts)
    for word, found in zip(words, learner.encode_batch(words), strict=True):
        for piece in found.tokens:
            used[piece] = used.get(piece, 0) + counts[word]
    used.pop("<unk>", None)
    single = {piece: 0 for piece in learner.get_vocab() if len(piece.removesuffix(_END)) == 1}
    pieces = single | used
    tokens = {
        piece.removesuffix(_END) if piece.endswith(_END) else f"{piece}@@": n
        for piece, n in pieces.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(tokens.items(), key=lambda item: (-item[1], item[0]))
    (folder / VOCAB_FILE).write_text(
        "".join(f"{name} {n}\n" for name, n in ordered), encoding="utf-8"
    )
    (folder / CODES_FILE).write_text(
        "".join(f"{a} {b} {used.get(a + b, 0)}\n" for a, b in merges if not _SPACES.search(a + b)),
        encoding="utf-8",
    )
    return folder
