"""Drift of a data folder: a profile of every run, set against the weeks before; the audit.

```
drift/<week>/<run>.json    histograms of one run, sealed; no text, no outlet's figures
```
The reference lies beside the store and not in it, as the history of the outlets does: a run must be
able to compare itself before it is merged.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kiemchung.config import Settings
from kiemchung.domain import Article, Judgement, Mention, digest
from kiemchung.errors import DamagedFileError, InputError, StoreError, StoreLockedError
from kiemchung.sealed import read_sealed, write_sealed
from models import drift
from models.audited import Audit, audit_of
from pipeline.handover import complete, tables_of

if TYPE_CHECKING:
    from kiemchung.store import Store
    from models.tokenizer import PhobertBpe
    from pipeline.judging import Judge
    from pipeline.runs import RunPlan

MOST: Final = 4_000
"""Claims of a run that are looked at, whole stories drawn by hash: two seconds in any week."""
ASK_SECONDS: Final = 20.0
_SYLLABLE: Final = re.compile(r"[^\W\d_]+")


def folder(data_dir: Path) -> Path:
    """Return where the profiles lie."""
    return data_dir / "drift"


def _path(run: RunPlan) -> Path:
    return folder(run.data_dir) / str(run.week) / f"{run.run_id}.json"


# --- a run's profile ------------------------------------------------------------------------------


def profile_of(run: RunPlan, judge: Judge) -> drift.Profile:
    """Return the histograms of a run that has been judged."""
    analysed = run.stage("analyse")
    stories: dict[str, str] = {}
    for table in tables_of(analysed, Article, "articles", columns=["article_id", "story_id"]):
        for article, story in zip(
            table["article_id"].to_pylist(), table["story_id"].to_pylist(), strict=True
        ):
            stories[article] = story or article
    wanted = _drawn(stories, analysed)
    counting = drift.Counting()
    of: dict[str, str] = {}
    known = _vocabulary(judge)
    columns = ["mention_id", "article_id", "text", "checkability", "check_worthiness", "speech"]
    for table in tables_of(analysed, Mention, "mentions", columns=columns):
        for row in table.to_pylist():
            story = stories.get(row["article_id"], row["article_id"])
            if story in wanted:
                counting.add(story, _of_claim(row, known))
                of[row["mention_id"]] = story
    columns = ["mention_id", "status", "label", "p_refuted", "evidence"]
    for table in tables_of(run.stage("judge"), Judgement, columns=columns):
        for row in table.to_pylist():
            if row["mention_id"] in of:
                counting.add(of[row["mention_id"]], _of_judgement(row, judge))
    return counting.profile(
        week=str(run.week),
        run_id=run.run_id,
        outlets=run.outlets,
        made_with=digest(judge.model.model_id, judge.base_version, f"{judge.threshold:g}")[:16],
    )


def _drawn(stories: dict[str, str], analysed: Path) -> set[str]:
    """Return the stories to look at: by hash, until they hold `MOST` claims."""
    claims: dict[str, int] = {}
    for table in tables_of(analysed, Mention, "mentions", columns=["article_id"]):
        for article in table["article_id"].to_pylist():
            story = stories.get(article, article)
            claims[story] = claims.get(story, 0) + 1
    chosen: set[str] = set()
    total = 0
    for story in sorted(claims, key=lambda s: digest("drift", s)):
        if chosen and total + claims[story] > MOST:
            break
        chosen.add(story)
        total += claims[story]
    return chosen


def _vocabulary(judge: Judge) -> frozenset[str] | None:
    """Return the syllables of the model's vocabulary, None for a model without one."""
    model = getattr(judge.model, "model", judge.model)  # behind what is remembered of it
    bpe: PhobertBpe | None = getattr(model, "bpe", None)
    if bpe is None:
        return None
    return frozenset(part for name in bpe.names for part in name.replace("@@", "").split("_"))


def _of_claim(row: dict[str, Any], known: frozenset[str] | None) -> dict[str, str | float]:
    from nlp.quantities import extract

    text = unicodedata.normalize("NFC", row["text"])
    found: dict[str, str | float] = {
        "claim_words": float(len(text.split())),
        "speech": str(row["speech"]),
        "checkability": str(row["checkability"]),
        "check_worthiness": float(row["check_worthiness"]),
    }
    if row["checkability"] == "CHECKABLE":
        found["quantities"] = float(len(extract(text).quantities))
    syllables = _SYLLABLE.findall(text)
    if known is not None and syllables:
        missing = sum(s not in known and s.lower() not in known for s in syllables)
        found["unknown_words"] = missing / len(syllables)
    return found


def _of_judgement(row: dict[str, Any], judge: Judge) -> dict[str, str | float]:
    evidence = row["evidence"]
    rows = json.loads(evidence) if isinstance(evidence, str) else evidence
    passages = [judge.by_id[e["passage_id"]] for e in rows if e["passage_id"] in judge.by_id]
    first = next(
        (judge.by_id[e["passage_id"]] for e in rows
         if e["on_point"] and e["passage_id"] in judge.by_id),
        None,
    )  # fmt: skip
    found: dict[str, str | float] = {
        "verdict": str(row["label"] or row["status"]),
        "evidence_words": float(sum(len(p.text.split()) for p in passages)),
        "topic": first.topic if first else "none",
    }
    if row["p_refuted"] is not None:
        found["p_refuted"] = float(row["p_refuted"])
    return found


# --- kept and compared ----------------------------------------------------------------------------


def read_profiles(data_dir: Path) -> tuple[list[drift.Profile], list[str]]:
    """Return the profiles of a data folder by week, and a line for each that cannot be used."""
    found, bad = [], []
    for path in sorted(folder(data_dir).glob("*/*.json")):
        try:
            found.append(drift.Profile.of(read_sealed(path, remedy="delete it")))
        except DamagedFileError as error:
            bad.append(f"unreadable history: {error}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            bad.append(f"unreadable history: {path}: no profile: {error!r}")
    return found, bad


def check(run: RunPlan, judge: Judge) -> tuple[str, ...]:
    """Write the profile of a judged run and return its alarms.

    The same run again replaces what was written before.
    """
    write_sealed(_path(run), profile_of(run, judge).as_dict())
    return lines_of(run)


def lines_of(run: RunPlan) -> tuple[str, ...]:
    """Return the alarms of a run whose profile is there; nothing before it was judged."""
    if not (_path(run).is_file() and complete(run.stage("judge"))):
        return ()
    every, bad = read_profiles(run.data_dir)
    return (*bad, *_shifted([p for p in every if p.run_id == run.run_id], every))


def lines_of_latest(data_dir: Path) -> tuple[str, ...]:
    """Return the alarms of the latest week that left a profile."""
    every, bad = read_profiles(data_dir)
    latest = max((p.week for p in every), default="")
    return (*bad, *_shifted([p for p in every if p.week == latest], every))


def _shifted(mine: Sequence[drift.Profile], every: Sequence[drift.Profile]) -> list[str]:
    return [f.line() for p in mine for f in drift.findings(p, every) if f.shifted]


# --- the audit ------------------------------------------------------------------------------------


def audit_store(store: Store) -> Audit:
    """Return the calibration on what people concluded, of an open store."""
    from kiemchung.store.audited import audited

    return audit_of(audited(store))


def audit_settings(settings: Settings) -> tuple[Audit | None, str]:
    """Return the calibration, asked of a server where one owns the store; or why there is none."""
    from kiemchung.store import open_store, requests
    from pipeline.weekly import store_path

    path = store_path(settings)
    if not path.is_file():
        return None, "there is no store yet"
    try:
        with open_store(path, wait_seconds=1.0) as store:
            return audit_store(store), ""
    except StoreLockedError as locked:
        try:
            told = requests.ask(
                path, "audit", {}, pid=locked.pid, within=ASK_SECONDS, taken_within=3.0
            )
            return Audit(**told["audit"]), ""
        except (StoreLockedError, StoreError, KeyError, TypeError) as error:
            return None, str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What is known of one week."""

    week: str
    run_ids: tuple[str, ...]
    findings: tuple[drift.Finding, ...]
    reference: tuple[str, ...]
    audit: Audit | None
    no_audit: str
    unreadable: tuple[str, ...]

    @property
    def alarms(self) -> tuple[str, ...]:
        """Return the alarms as lines."""
        shifted = [f.line() for f in self.findings if f.shifted]
        calibrated = [self.audit.line()] if self.audit and self.audit.drifted else []
        return (*self.unreadable, *shifted, *calibrated)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        from dataclasses import asdict

        return asdict(self) | {"alarms": list(self.alarms)}


def look(settings: Settings, week: str | None) -> Drift:
    """Return the drift of a week, the latest where none is named, and the audit of now.

    Raises:
        InputError: no run of that week left a profile.
    """
    every, bad = read_profiles(settings.data_dir)
    named = week or max((p.week for p in every), default="")
    mine = [p for p in every if p.week == named]
    if not mine:
        raise InputError(
            f"no run of {named or 'any week'} has a profile",
            where=str(folder(settings.data_dir)),
            remedy="run that week: kiemchung weekly --week WEEK",
        )
    found: list[drift.Finding] = []
    for p in mine:
        found += drift.findings(p, every)
    audit, why = audit_settings(settings)
    return Drift(
        week=named,
        run_ids=tuple(p.run_id for p in mine),
        findings=tuple(found),
        reference=tuple(sorted({r.week for p in mine for r in drift.reference(p, every)})),
        audit=audit,
        no_audit=why,
        unreadable=tuple(bad),
    )


def table(found: Drift) -> list[str]:
    """Return the lines for a terminal."""
    lines = [
        f"{found.week}, {', '.join(found.run_ids)}; set against {len(found.reference)} weeks",
        f"{'measure':<18}{'stories':>8}{'PSI':>8}{'chance':>8}{'KS':>8}{'chance':>8}",
    ]
    lines += [_row(f) for f in found.findings]
    audit = found.audit
    if audit is None:
        lines.append(f"calibration: {found.no_audit}")
    elif audit.error is None:
        lines.append(
            f"calibration: {audit.conclusions} conclusions count as {audit.effective:.0f}:"
            " nothing is claimed"
        )
    else:
        lines.append(audit.line())
    return [*lines, *(f"ALARM {line}" for line in found.alarms)]


def _row(f: drift.Finding) -> str:
    if f.psi is None or f.noise is None:
        return f"{f.measure:<18}{f.stories:>8}   {f.why}"
    ks: Iterable[float | None] = (f.ks, f.ks_noise)
    told: Sequence[str] = [f"{f.psi:>8.3f}", f"{f.noise:>8.3f}",
                           *("       -" if x is None else f"{x:>8.3f}" for x in ks)]  # fmt: skip
    return f"{f.measure:<18}{f.stories:>8}{''.join(told)}{'   SHIFTED' if f.shifted else ''}"
