"""Who runs the stages: processes of this machine, or a Ray cluster over the same shards."""

from __future__ import annotations

from kiemchung.config import Settings
from pipeline.workers import Crew, crew_of


def crew_for(settings: Settings, *, encoder: bool = False) -> Crew:
    """Return who analyses, or with ``encoder`` who judges, under these settings.

    Raises:
        MissingExtraError: the engine is ray, and Ray is not installed.
    """
    if settings.engine == "ray":
        from pipeline.scale import ray_crew

        return ray_crew(settings, encoder=encoder)
    return crew_of(settings.workers)
