"""The data card of an exported data set: what it is, how it came about, what not to do with it.

After Gebru et al., "Datasheets for Datasets", 2021, and Pushkarna, Zaldivar and Kjartansson, "Data
Cards", 2022, cut to what this program can know by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_STATES: Final = {
    "undo": "rows that only take another one back",
    "undone": "taken back by the one who made it",
    "withdrawn": "withdrawn with a reason",
    "evidence_replaced": "their passages were replaced; they wait for a new conclusion",
    "changed": "the same person concluded anew later",
    "skipped": "skipped: no conclusion",
    "before_adjudication": "opinions between which an adjudicator decided",
    "disputed": "reviewers differ and nobody has decided",
    "awaits_second": "planned for two people, of whom one has concluded",
    "seconded": "an equal second conclusion on the same mention",
    "stands": "stand",
}
_LEFT_OUT: Final = {
    "uncheckable": "found uncheckable, which is no label of a pair",
    "article_withdrawn": "the article was withdrawn",
    "in_no_run": "the claim is in no run any more (the page was read anew)",
    "other_week": "of weeks that were not asked for",
}
_OUTSIDE: Final = {
    "same_story": "the same story (a copy or rewrite)",
    "same_page": "another version of the same page",
    "same_claim": "the same claim come back",
    "same_words": "the same words",
    "nearly_the_same_words": "nearly the same words and the same numbers",
}


def card(body: Mapping[str, Any]) -> str:
    """Return the card of the data set whose manifest is ``body``, as Markdown."""
    chosen = body["chosen"]
    span = chosen["week"] or (f"up to {chosen['until']}" if chosen["until"] else "all weeks")
    return "\n".join(
        (
            f"# Reviewed claims beside passages, version {body['version']}",
            "",
            f"{body['pairs']} pairs of a claim from Vietnamese press and the passages of a dated"
            " reference base that a reviewer set beside it, with what the reviewer concluded. A"
            " label says how the claim stands to these passages on the day that it is about; it"
            f" says nothing about a person or an outlet. Weeks: {span}.",
            "",
            *_splits(body),
            *_where_all_went(body),
            *_selection(body),
            *(_TEXT if body["with_text"] else ()),
            *_USE,
        )
    )


def _splits(body: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Files",
        "",
        "| file | pairs | weeks | SUPPORTED | REFUTED | NOT_ENOUGH_INFO | CONFLICTING"
        " | trainable |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, counts in body["counts"].items():
        ends = body["splits"]["weeks"].get(name)
        by = counts["by_label"]
        lines.append(
            f"| {name}.jsonl | {counts['pairs']} | {' to '.join(ends) if ends else '-'} | "
            + " | ".join(
                str(by.get(label, 0))
                for label in ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO", "CONFLICTING")
            )
            + f" | {counts['trainable']} |"
        )
    rule = (
        "Whole weeks in their order: train is the oldest part, test the latest."
        if body["splits"]["rule"] == "time"
        else "Fewer than three weeks: stories are dealt out by the hash of their id, and no split"
        " is later than another."
    )
    outside = body["splits"]["outside"]
    return [
        *lines,
        "",
        f"{rule} What a later split shares with an earlier one stands in outside.jsonl"
        " and in no split: "
        + ("; ".join(f"{_OUTSIDE[name]} {n}" for name, n in outside.items()) or "nothing")
        + ". A pair is trainable when both texts are there and its label is one of the first"
        " three.",
        "",
    ]


def _where_all_went(body: Mapping[str, Any]) -> list[str]:
    found = [
        f"## Where all {body['reviews']} acts of reviewers went",
        "",
        "| acts | |",
        "|---|---|",
    ]
    found += [f"| {body['states'][name]} | {text} |" for name, text in _STATES.items()]
    found += [
        "",
        f"Of the {body['states']['stands']} that stand, {body['pairs']} are here. Left out:",
        "",
        "| conclusions | |",
        "|---|---|",
        *(f"| {body['left_out'][name]} | {text} |" for name, text in _LEFT_OUT.items()),
        "",
        f"They cover {body['copies_covered']} further copies of the same claims, which are not"
        " repeated here.",
        "",
    ]
    return found


def _selection(body: Mapping[str, Any]) -> list[str]:
    total: dict[str, int] = {}
    for counts in body["counts"].values():
        for name, n in counts["by_selected_as"].items():
            total[name] = total.get(name, 0) + n
    return [
        "## How claims were selected",
        "",
        f"Flags: {total.get('flag', 0)} (every flag is shown, probability 1). Blind sample of the"
        f" claims without a flag: {total.get('sample', 0)} (drawn by hash with the probability in"
        f" each row). Opened by hand: {total.get('none', 0)} (nobody drew them, no probability).",
        "",
        "So the labels are not those of all claims: flags are far too many. An estimate for all"
        " claims weights each row of `flag` and `sample` by 1 / `probability`, takes all four"
        " files, and leaves the rows of `none` out. It holds for claims that a reviewer finds"
        " checkable, and as far as those left undecided or disputed are like the others: flags are"
        " read by urgency, so a week with many undecided ones says little. Claims by week:",
        "",
        "| week | flags | decided | without a flag | drawn | decided |",
        "|---|---|---|---|---|---|",
        *(
            f"| {week} | {' | '.join(map(str, n.values()))} |"
            for week, n in body["selection"].items()
        ),
        "",
    ]


LICENCE: Final = (
    "This program grants none. The claims are the words of their publishers, quoted span by span:"
    " train and measure on them where the law lets you, and ask before you pass them on. Passages"
    " are the wording of the reference base (see its documentation). The labels belong to those who"
    " made them; whoever publishes this folder says under which licence."
)
_TEXT: Final = (
    "## Text of articles: for the house alone",
    "",
    "context.jsonl holds, by `pair_id`, the sentence before each claim and the one behind it. They"
    " are their publishers' words and no quotation: train with them where the law lets you, and"
    " remove the file before you pass the folder on, which `data verify` will then say.",
    "",
)
_USE: Final = (
    "## What is not in it",
    "",
    "No article beyond the claim's own span (but see above, where there is a context.jsonl), no"
    " address, no outlet, no name, note or time of a"
    " reviewer. `reviewer` is a keyed hash; its key is not stored, and the same person has another"
    " one in a data set of other content. Where a page's owner refuses archiving, quoting or text"
    " mining, `claim` is empty and `claim_sha256` stands for it.",
    "",
    "## Licence",
    "",
    LICENCE,
    "",
    "## What must not be done with it",
    "",
    "- rank, score or profile persons, outlets or reviewers, or find out who a reviewer is",
    "- call a text or its author false: a label is about a claim beside named passages on a day",
    "- remove or hide texts by machine on the strength of a model trained on it",
    "- look up withheld claims by their hash",
    "- report figures of a model on rows that it, or its data, came from",
    "",
    "## Limits",
    "",
    "One language, one field (cooperatives and the law about them), one reference base. Claims come"
    " from the outlets that were crawled. Where `shown_model` is true the label was given after the"
    " machine's suggestion was seen; `decision_before_model` is the choice before it. Mostly one"
    " person's reading stands behind a row. NOT_ENOUGH_INFO without a passage beside it says what"
    " the base holds, not what is true.",
    "",
)
