"""The reference base: closed, dated, and read as a whole."""

from __future__ import annotations

from kiemchung.reference.loader import (
    Problem,
    ReferenceBase,
    check,
    holds,
    in_force,
    load,
    seal,
    verify,
)

__all__ = ["Problem", "ReferenceBase", "check", "holds", "in_force", "load", "seal", "verify"]
