"""Who runs the stages: processes of this machine, or a Ray cluster over the same shards."""

from __future__ import annotations

from kiemchung.config import Settings
from pipeline.workers import Crew, crew_of


def crew_for(settings: Settings) -> Crew:
    """Return who analyses and judges under these settings."""
    return crew_of(settings.workers)
