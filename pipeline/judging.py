"""From a claim and a day to a judgement: the path of `check`, the weekly run and `replay`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kiemchung import reference
from kiemchung.domain import (
    AsOfMethod,
    Checkability,
    Document,
    Judgement,
    Mention,
    NeiReason,
    Passage,
    Speech,
    Status,
    digest,
)
from models import decide as deciding
from models import registry
from models.scoring import Cached
from nlp.retrieval import PassageIndex
from nlp.timing import named_documents
from pipeline.versions import verdict_version

if TYPE_CHECKING:
    from kiemchung.config import Settings
    from models.verdict import VerdictModel


_UNKNOWN_DAY: Final = deciding.Outcome(
    status=Status.ABSTAINED,
    label=None,
    nei_reason=NeiReason.NOT_IN_FORCE,
    p_supported=None,
    p_refuted=None,
    p_nei=None,
    flagged=False,
)
"""Of a claim in an undated article that names no day or law: nothing says which law it meets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A reference base, its index and a model, loaded once and used for every claim."""

    documents: tuple[Document, ...]
    passages: tuple[Passage, ...]
    base_version: str
    model: VerdictModel
    threshold: float
    index: PassageIndex
    by_id: Mapping[str, Passage] = field(repr=False)
    documents_by_id: Mapping[str, Document] = field(repr=False)
    model_sha256: str = ""  # of the model's manifest, and so of its files

    @classmethod
    def load(
        cls, settings: Settings, *, model_dir: Path | None = None, remember: bool = True
    ) -> Judge:
        """Load the reference base and the model that the settings name.

        An encoder's verdicts are remembered in the data folder unless ``remember`` is false.

        Raises:
            BadReferenceError: a line of the base cannot be used; half a base is worse than none.
            ModelError: a model file is missing or not the one in its manifest.
            InputError: the settings name a device that cannot be had.
        """
        base = reference.load(settings.reference_dir)
        chosen = model_dir or promoted_model(settings.data_dir)
        model = _load_model(chosen, settings, remember=remember)
        threshold = settings.flag_threshold
        return cls(
            documents=base.documents,
            passages=base.passages,
            base_version=base.version,
            model=model,
            threshold=model.threshold if threshold is None else threshold,
            index=PassageIndex(base.passages, base.documents),
            by_id={p.passage_id: p for p in base.passages},
            documents_by_id={d.doc_id: d for d in base.documents},
            model_sha256=registry.fingerprint(chosen or registry.DEFAULT),
        )

    def outcome(
        self,
        text: str,
        *,
        day: date,
        speech: Speech,
        checkability: Checkability,
    ) -> deciding.Outcome:
        """Return how the claim ``text`` stands to the passages in force on ``day``."""
        retrieved = self.index.retrieve(text, day)
        return deciding.decide(
            text,
            speech=speech,
            checkability=checkability,
            retrieved=retrieved,
            predecessors=self.by_id,
            documents=self.documents_by_id,
            named=named_documents(text, self.documents),
            model=self.model,
            threshold=self.threshold,
        )

    def judge(self, mention: Mention, *, run_id: str) -> Judgement:
        """Return the judgement of one mention; its id depends on all that it was derived from."""
        if mention.as_of_method is AsOfMethod.UNKNOWN:
            found = _UNKNOWN_DAY
        else:
            found = self.outcome(
                mention.text,
                day=mention.as_of,
                speech=mention.speech,
                checkability=mention.checkability,
            )
        return self.judgement(mention, found, run_id=run_id)

    def judgement(
        self, mention: Mention, found: deciding.Outcome | Judgement, *, run_id: str
    ) -> Judgement:
        """Return what was found of a claim as the judgement of ``mention``, which has its words."""
        return Judgement(
            judgement_id=digest(
                mention.mention_id,
                mention.as_of.isoformat(),
                self.model.model_id,
                self.base_version,
                repr(self.threshold),
            ),
            mention_id=mention.mention_id,
            run_id=run_id,
            model_id=self.model.model_id,
            base_version=self.base_version,
            threshold=self.threshold,
            status=found.status,
            label=found.label,
            nei_reason=found.nei_reason,
            p_supported=found.p_supported,
            p_refuted=found.p_refuted,
            p_nei=found.p_nei,
            flagged=found.flagged,
            evidence=found.evidence,
            differences=found.differences,
            error=found.error,
        )


def _load_model(chosen: Path | None, settings: Settings, *, remember: bool) -> VerdictModel:
    if settings.device != "cpu":
        from models import batched

        folder = chosen or registry.DEFAULT
        has_encoder = registry.verify(folder).kind == "encoder"
        if batched.choose_device(settings.device, has_encoder=has_encoder) == "cuda":
            return batched.load(folder, device="cuda")
    model = registry.load(chosen) if chosen else registry.load_default()
    if not remember or not model.model_id.startswith("encoder-"):
        return model  # the comparison is faster than a look-up is worth
    # A verdict of other code is another verdict, whatever the model's files are.
    return Cached(model, settings.data_dir / "verdicts.sqlite", code=verdict_version())


def promoted_model(data_dir: Path) -> Path | None:
    """Return the folder of the model that was promoted in this data folder, if any."""
    pointer = data_dir / "models" / "PROMOTED"
    if not pointer.is_file():
        return None
    return data_dir / "models" / pointer.read_text(encoding="utf-8").strip()
