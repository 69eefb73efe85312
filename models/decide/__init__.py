"""From a claim and the passages in force to an outcome that can be explained in one line.

Two witnesses are heard. The rules compare the claim with the passage part by part: each quantity
with the quantity of the same unit, subject and role, what is permitted with what is permitted,
organs with organs. The model gives calibrated probabilities for the pair as a whole. The rules find
the differences; without a named difference nothing is refuted, whatever the model says. The
model can hold a soft finding back, and it decides nothing alone.

Precision comes first: a sentence that states no rule, describes one named cooperative, proposes,
judges or denies a rumour is never refuted.
"""

from __future__ import annotations

from models.decide.outcome import decide
from models.decide.types import Outcome

__all__ = ["Outcome", "decide"]
