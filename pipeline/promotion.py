"""Which model is in use, how it came to be, and the way back.

A model of the data folder is promoted only through the gates: it holds the floors of the shipped
model (`models.floors`) on the reference base and the control sets, and it is not worse than the
model in use. An operator may promote one that does not, with a reason; that stands in the record
for good, in `kiemchung models list` and in `kiemchung status` for as long as it is in use. The
shipped model needs no gate: its own release held them.

``models/promotions.jsonl`` of the data folder is the record, a line an act, each with the SHA-256
of the line before it, so that a line that is changed or taken out is noticed. ``models/PROMOTED``
names what is in use; it is written after the line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kiemchung.domain import sha256_hex
from kiemchung.errors import DamagedFileError, InputError
from kiemchung.locks import held
from kiemchung.shards import fsync_folder, write_bytes_atomically
from models import floors, gates, registry
from models.compare import Compared, compare
from pipeline import evaluation
from pipeline.comparing import Couple
from pipeline.judging import Judge, promoted_model

if TYPE_CHECKING:
    from kiemchung.config import Settings
    from models.construct import Pair

RECORD: Final = "promotions.jsonl"
DEFAULT: Final = "default"
OWN: Final = "reference base"
WORSE: Final = 0.025  # chance that a model is no worse below which it is
ACTS: Final = ("promote", "default", "rollback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One line of the record; ``against`` says what stood against it, empty where nothing did."""

    at: str  # ISO
    act: str  # one of ACTS
    name: str  # what is in use from then on
    model_id: str
    sha256: str  # of its manifest
    against: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the gates and the comparison with the model in use say of a candidate."""

    missed: tuple[str, ...]
    worse: tuple[str, ...]
    compared: tuple[Compared, ...]

    @property
    def against(self) -> tuple[str, ...]:
        """All that stands against it."""
        return (*(f"gate {line}" for line in self.missed), *self.worse)


# --- the record -----------------------------------------------------------------------------------


def record(data_dir: Path) -> list[Act]:
    """Return what was promoted, oldest first.

    Raises:
        DamagedFileError: a line cannot be read, or one before it was changed or taken out.
    """
    path = data_dir / "models" / RECORD
    if not path.is_file():
        return []
    found = []
    before = ""
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = json.loads(line)
            if row.pop("before") != before or row["act"] not in ACTS:
                raise ValueError("not the line that followed the one before it")
            found.append(Act(**row | {"against": tuple(row["against"])}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFileError(
                f"the record of promotions is not as it was written: {error}",
                where=f"{path}:{number}",
                remedy="restore it from a backup; models/PROMOTED still names the model in use",
            ) from error
        before = sha256_hex(line.encode("utf-8"))
    if lines[-1]:  # a line that a full disk or a kill cut off: nothing was promoted by it
        raise DamagedFileError(
            "the last line of the record was cut off",
            where=str(path),
            remedy="remove that line; nothing was promoted by it",
        )
    return found


def _append(data_dir: Path, act: Act) -> None:
    path = data_dir / "models" / RECORD
    old = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    before = sha256_hex(old[-2]) if len(old) > 1 else ""
    line = json.dumps(asdict(act) | {"before": before}, ensure_ascii=False, sort_keys=True)
    with path.open("ab") as out:
        out.write(line.encode("utf-8") + b"\n")
        out.flush()
        os.fsync(out.fileno())
    fsync_folder(path.parent)


def in_use(data_dir: Path) -> str:
    """Return the name of the model in use."""
    folder = promoted_model(data_dir)
    return DEFAULT if folder is None else folder.name


def trail(data_dir: Path) -> list[str]:
    """Return the names that a rollback goes back over, the one in use last.

    A model that an earlier program promoted, which kept no record, stands above the shipped one.

    Raises:
        DamagedFileError: see `record`.
    """
    names = [DEFAULT]
    for act in record(data_dir):
        if act.act == "rollback":
            names = names[:-1] or [DEFAULT]
        elif act.name != names[-1]:
            names.append(act.name)
    now = in_use(data_dir)
    if names[-1] != now and len(names) > 1 and names[-2] == now:
        return names[:-1]  # killed between the line and the pointer: it never came into use
    return names if names[-1] == now else [*names, now]


def overridden(data_dir: Path) -> Act | None:
    """Return the act by which the model in use was promoted despite its gates, if it was.

    Raises:
        DamagedFileError: see `record`.
    """
    return _override(in_use(data_dir), record(data_dir))


def _override(now: str, acts: Sequence[Act]) -> Act | None:
    mine = [a for a in acts if a.name == now and a.act == "promote"]
    return mine[-1] if now != DEFAULT and mine and mine[-1].against else None


# --- the gates ------------------------------------------------------------------------------------


def check(
    settings: Settings,
    folder: Path,
    *,
    sets: Mapping[str, Sequence[Pair]] | None = None,
    name: str = "candidate",
) -> Checked:
    """Measure a candidate on the gates and beside the model in use.

    On the pairs of the reference base, the control sets, and ``sets`` of the operator's own. Worse
    is: macro-F1 lower with a chance of no more than `WORSE` that it is not, or flags less often
    right, both by the ends of their intervals.

    Raises:
        ModelError: the folder is no model of this program.
    """
    from kiemchung import reference

    base = reference.load(settings.reference_dir)
    before = promoted_model(settings.data_dir) or registry.DEFAULT
    couple = Couple.load(before, folder, (in_use(settings.data_dir), name))
    first, second = couple.remembering()
    own = gates.own_pairs(base.passages)
    measured = gates.measure(gates.Remembering(model=second), own)
    judge = Judge.load(settings, model_dir=folder, remember=False)
    measured += evaluation.path_gates(replace(judge, model=second), evaluation.CONTROLS)
    missed = floors.broken(measured, floors.floors(floors.FLOORS))
    compared, worse = [], []
    for title, pairs in {OWN: own, **(sets or {})}.items():
        a, b = ([m.judge(p.claim, p.evidence) for p in pairs] for m in (first, second))
        found = compare(title, pairs, a, b, thresholds=(first.threshold, second.threshold))
        compared.append(found)
        worse += _worse(found)
    return Checked(missed=tuple(missed), worse=tuple(worse), compared=tuple(compared))


def _worse(found: Compared) -> list[str]:
    boot = found.bootstrap
    lines = []
    if boot.chance_no_worse <= WORSE and boot.difference < 0.0:
        lines.append(
            f"worse than the model in use on {found.name}: macro-F1 {boot.difference:+.4f}"
            f" ({boot.low:+.4f} to {boot.high:+.4f})"
        )
    old, new = found.first.refuted_at_threshold, found.second.refuted_at_threshold
    if old.n and new.n and new.high < old.low:
        lines.append(
            f"its flags are less often right on {found.name}: {new.value:.3f} of {new.n}, those of"
            f" the model in use {old.value:.3f} of {old.n}"
        )
    return lines


# --- the acts -------------------------------------------------------------------------------------


def promote(
    settings: Settings,
    name: str,
    *,
    sets: Mapping[str, Sequence[Pair]] | None = None,
    despite_gates: bool = False,
    reason: str = "",
    now: datetime | None = None,
) -> Checked | None:
    """Put a model of the data folder into use; return what was measured (nothing for `default`).

    Raises:
        InputError: no model name; it fails a gate or is worse and no override was told; an
            override without a reason.
        ModelError: the folder is no model of this program.
        KiemchungError: another process is promoting.
    """
    why = " ".join(reason.split())
    if despite_gates and not why:
        raise InputError("an override needs a reason", remedy="give --reason TEXT as well")
    models = settings.data_dir / "models"
    models.mkdir(parents=True, exist_ok=True)
    with held(models / ".lock", what="the promotion of a model"):
        if name == DEFAULT:
            _put(settings.data_dir, "default", DEFAULT, (), why, now)
            return None
        if Path(name).name != name or name.startswith("."):
            raise InputError(f"{name!r} is no model name", remedy="see `kiemchung models list`")
        folder = models / name
        registry.verify(folder)
        registry.load(folder)
        found = check(settings, folder, sets=sets, name=name)
        if found.against and not despite_gates:
            raise InputError(
                "not promoted: " + "; ".join(found.against),
                where=name,
                remedy="train a better one, or say --despite-gates --reason TEXT, which stays in"
                " the record and in `kiemchung status`",
            )
        _put(settings.data_dir, "promote", name, found.against, why, now)
        return found


def rollback(settings: Settings, *, reason: str = "", now: datetime | None = None) -> str:
    """Go back to the model that was in use before the present one; return its name.

    Raises:
        InputError: there is none before it.
        ModelError: the one before is not there any more, or was changed.
        DamagedFileError: see `record`.
        KiemchungError: another process is promoting.
    """
    models = settings.data_dir / "models"
    models.mkdir(parents=True, exist_ok=True)
    with held(models / ".lock", what="the promotion of a model"):
        names = trail(settings.data_dir)
        if len(names) < 2:
            raise InputError(
                "no model was in use before the shipped one", remedy="see `kiemchung models list`"
            )
        name = names[-2]
        if name != DEFAULT:
            registry.load(models / name)
        _put(settings.data_dir, "rollback", name, (), " ".join(reason.split()), now)
        return name


def _put(
    data_dir: Path,
    act: str,
    name: str,
    against: tuple[str, ...],
    reason: str,
    now: datetime | None,
) -> None:
    """Write the line, then the pointer: a kill between them leaves a line too much, told below."""
    record(data_dir)  # a damaged record is not written on
    folder = registry.DEFAULT if name == DEFAULT else data_dir / "models" / name
    _append(
        data_dir,
        Act(
            at=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
            act=act, name=name, model_id=registry.verify(folder).model_id,
            sha256=registry.fingerprint(folder), against=against, reason=reason,
        ),
    )  # fmt: skip
    pointer = data_dir / "models" / "PROMOTED"
    if name == DEFAULT:
        pointer.unlink(missing_ok=True)
    else:
        write_bytes_atomically(pointer, name.encode("utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """The model in use, what it was promoted in spite of, and whether it still is that model."""

    name: str
    despite: tuple[str, ...] = ()
    reason: str = ""
    since: str = ""
    replaced: bool = False  # the folder holds another model than the one that was promoted

    @property
    def note(self) -> str:
        """What stands beside its name, empty for a model that held its gates."""
        if not self.despite:
            return ""
        return f"promoted on {self.since[:10]} despite its gates ({self.reason}): " + "; ".join(
            self.despite
        )


def state(data_dir: Path) -> InUse:
    """Return what is to be told of the model in use.

    Raises:
        DamagedFileError: see `record`.
        ModelError: it has no manifest.
    """
    name = in_use(data_dir)
    acts = record(data_dir)  # after the pointer, whose line was written before it
    found = _override(name, acts)
    mine = [a for a in acts if a.name == name]
    other = name != DEFAULT and bool(mine) and (
        registry.fingerprint(data_dir / "models" / name) != mine[-1].sha256
    )  # fmt: skip
    return InUse(
        name=name,
        despite=found.against if found else (),
        reason=found.reason if found else "",
        since=found.at if found else "",
        replaced=other,
    )
