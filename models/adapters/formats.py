"""The columns and labels of each public set, as its own files have them.

| format | columns | files of |
|---|---|---|
| vifactcheck | Statement, Evidence, Context, labels 0/1/2 | Tran et al., 2025 |
| isedsc01 | claim, verdict, evidence, context, domain; by id | UIT Data Science Challenge 2023 |
| viwikifc | claim, evidence, context, gold_label, pairID | Le et al., 2024 |
| vihallu | id, context, prompt, response, label | UIT Data Science Challenge 2025 |
| vinli | sentence1 (premise), sentence2 (hypothesis), gold_label, context | UIT ViNLI 1.0 |
| fever | id, claim, label, evidence as text | Thorne et al., 2018 |
| averitec | claim, label, questions with answers | Schlichtkrull et al., 2023 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kiemchung.domain import Label
from kiemchung.errors import RecordError

_S, _R, _N = Label.SUPPORTED, Label.REFUTED, Label.NOT_ENOUGH_INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How one set spells things; of several names for a column the first that is there counts."""

    name: str
    claim: tuple[str, ...]
    label_column: tuple[str, ...]
    labels: Mapping[str, Label | str]  # of the set's own spelling; a text is the state it ends in
    evidence_kinds: tuple[str, ...]
    default: str  # the kind that every label of the set has
    gold_column: tuple[str, ...] = ()
    gold_of: Callable[[Any], str] | None = None  # for evidence that is more than one text
    context: tuple[str, ...] = ()
    source: tuple[str, ...] = ()  # what tells one source from another, before context and evidence
    id: tuple[str, ...] = ("id",)
    hint: str = ""

    def label(self, row: Mapping[str, Any], where: str) -> Label | str:
        """Return our label, or the name of the state in which a row without one ends.

        Raises:
            RecordError: no such column, or a label that is not in the map.
        """
        found = self._found(row, self.label_column)
        if found is None:  # a hidden test part lacks the column as a whole
            return "no_label"
        spelled = "" if row[found] is None else str(row[found]).strip()
        if not spelled:
            return "no_label"
        try:
            return self.labels[spelled]
        except KeyError:
            raise RecordError(
                f"unknown label {spelled!r} in {found!r}",
                where=where,
                remedy=f"{self.name} has: {', '.join(self.labels)}; is it another format?",
            ) from None

    def text(
        self, row: Mapping[str, Any], names: tuple[str, ...], where: str, *, optional: bool = False
    ) -> str:
        """Return the text of a column without blanks around it, empty for an empty cell.

        Raises:
            RecordError: there is no such column (unless ``optional``), or it holds no text.
        """
        found = self._found(row, names)
        if found is None:
            if optional:
                return ""
            raise RecordError(
                f"no column {' or '.join(map(repr, names))}, but {', '.join(map(str, row))}",
                where=where,
                remedy="is it another format, or another file?",
            )
        value = row[found]
        if value is not None and not isinstance(value, str | int):
            raise RecordError(f"{found!r} holds a {type(value).__name__}, no text", where=where)
        return "" if value is None else str(value).strip()

    def gold(self, row: Mapping[str, Any], where: str) -> str:
        """Return the evidence that annotators marked, empty where there is none.

        Raises:
            RecordError: no such column, or evidence of another form.
        """
        if self.gold_of is None:
            return self.text(row, self.gold_column, where)
        found = self._found(row, self.gold_column)
        if found is None:
            return self.text(row, self.gold_column, where)  # says which columns there are
        try:
            return self.gold_of(row[found])
        except (TypeError, KeyError, AttributeError) as error:
            raise RecordError(f"evidence of another form: {error!r}", where=where) from error

    @staticmethod
    def _found(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
        return next((n for n in names if n in row), None)


def _texts(value: Any) -> str:  # noqa: ANN401  whatever JSON holds
    """Return evidence given as a text, a list of texts, or of records with one.

    Lists that name sentences by page and number, as FEVER itself has them, hold no text.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list):
        raise TypeError(f"a {type(value).__name__}")
    found = []
    for item in value:
        if isinstance(item, dict):
            item = next((item[n] for n in ("text", "sentence", "content") if n in item), "")
        if isinstance(item, str) and item.strip():
            found.append(item.strip())
    return "\n".join(dict.fromkeys(found))


def _answers(value: Any) -> str:  # noqa: ANN401
    """Return the questions with their answers, a line each; a boolean answer with its reason."""
    lines = []
    for asked in value or ():
        for given in asked["answers"]:
            parts = (given.get("answer"), given.get("boolean_explanation"))
            said = ". ".join(p.strip().rstrip(".") for p in parts if isinstance(p, str) and p)
            if said:
                lines.append(f"{asked['question'].strip()} {said}.")
    return "\n".join(lines)


_ALL: Final = (
    Format(
        name="vifactcheck",
        claim=("Statement",),
        label_column=("labels",),
        labels={"0": _S, "1": _R, "2": _N},
        evidence_kinds=("gold", "context"),
        default="gold",
        gold_column=("Evidence",),
        context=("Context",),
        id=("annotation_id", "index"),
    ),
    Format(
        name="isedsc01",
        claim=("claim",),
        label_column=("verdict",),
        labels={"SUPPORTED": _S, "REFUTED": _R, "NEI": _N},
        evidence_kinds=("gold", "context"),
        default="context",
        gold_column=("evidence",),
        context=("context",),
        hint="NEI has no gold evidence in this set; the test parts have no verdict",
    ),
    Format(
        name="viwikifc",
        claim=("claim",),
        label_column=("gold_label",),
        labels={"Supports": _S, "Refutes": _R, "Not_Enough_Information": _N},
        evidence_kinds=("gold", "context"),
        default="gold",
        gold_column=("evidence",),
        context=("context",),
        id=("pairID",),
    ),
    Format(
        name="vihallu",
        claim=("response",),
        label_column=("label",),
        labels={"no": _S, "intrinsic": _R, "extrinsic": _N},
        evidence_kinds=("context",),
        default="context",
        context=("context",),
        hint="the test parts have predict_label instead of label",
    ),
    Format(
        name="vinli",
        claim=("sentence2", "hypothesis"),
        label_column=("gold_label", "label"),
        labels={
            "entailment": _S, "contradiction": _R, "neutral": _N, "other": "other_label",
            "-": "no_consensus",
        },
        evidence_kinds=("gold",),
        default="gold",
        gold_column=("sentence1", "premise"),
        source=("context",),  # the article of the premise; the labels are about the premise alone
        id=("pairID", "id"),
    ),
    Format(
        name="fever",
        claim=("claim",),
        label_column=("label",),
        labels={"SUPPORTS": _S, "REFUTES": _R, "NOT ENOUGH INFO": _N},
        evidence_kinds=("gold",),
        default="gold",
        gold_column=("evidence",),
        gold_of=_texts,
        hint="a sentence named by page and number has no text: put its text into 'evidence'",
    ),
    Format(
        name="averitec",
        claim=("claim",),
        label_column=("label",),
        labels={
            "Supported": _S, "Refuted": _R, "Not Enough Evidence": _N,
            "Conflicting Evidence/Cherrypicking": Label.CONFLICTING,
        },
        evidence_kinds=("gold",),
        default="gold",
        gold_column=("questions",),
        gold_of=_answers,
        source=("fact_checking_article",),
        id=("claim_id", "id"),
    ),
)  # fmt: skip
FORMATS: Final[dict[str, Format]] = {f.name: f for f in _ALL}
