"""How the desk is run: names behind a proxy, cookies, who may read metrics, which model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MetricsMode = Literal["off", "loopback", "token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What an operator sets about the desk's surroundings; the defaults are the closed ones."""

    server_names: tuple[str, ...] = ()  # by which a reverse proxy asks, beside loopback
    secure_cookies: bool = False  # also where the proxy does not say that it was https
    metrics: MetricsMode = "off"
    metrics_token: str = ""
    model_dir: Path | None = None  # the promoted model; None: the shipped one
