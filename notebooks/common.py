"""What the notebooks share: where the week lies, and how a plot looks.

Plots are drawn in DejaVu Sans, which comes with matplotlib and has every Vietnamese letter; a
letter that the font lacks ends the notebook instead of printing a box. The colours are told apart
with any colour vision (Okabe and Ito 2008).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kiemchung.domain import Article, Judgement, Label, Mention
from kiemchung.shards import read_shard

FONT: Final = "DejaVu Sans"
BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
GREY: Final = "#999999"
PALE: Final = "#D9D9D9"
LABEL_COLOURS: Final[Mapping[Label | None, str]] = {
    Label.SUPPORTED: BLUE,
    Label.REFUTED: ORANGE,
    Label.NOT_ENOUGH_INFO: GREY,
    None: PALE,
}
NONE_SAID: Final = "máy không kết luận"


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What one run left on disk, read from its shards: a server may own the store."""

    run: str
    articles: Sequence[Article]
    mentions: Sequence[Mention]
    judged: Sequence[Judgement]


def data_folder() -> Path:
    """Return the data folder: KIEMCHUNG_DATA_DIR, or the demo's own."""
    return Path(os.environ.get("KIEMCHUNG_DATA_DIR", "../var/demo"))


def read_week(folder: Path | None = None) -> Week:
    """Return the latest run of a data folder.

    Raises:
        FileNotFoundError: nothing was judged there yet; says which command does it.
    """
    folder = folder or data_folder()
    runs = sorted(p.parent for p in (folder / "runs").glob("*/judge"))
    if not runs:
        raise FileNotFoundError(
            f"no judged week under {folder}; make one: kiemchung demo --no-serve --data {folder}"
        )
    analysed, judged = runs[-1] / "analyse", runs[-1] / "judge"
    return Week(
        run=runs[-1].name,
        articles=[
            a for p in sorted(analysed.glob("*.articles.parquet")) for a in read_shard(p, Article)
        ],
        mentions=[
            m for p in sorted(analysed.glob("*.mentions.parquet")) for m in read_shard(p, Mention)
        ],
        judged=[j for p in sorted(judged.glob("*.parquet")) for j in read_shard(p, Judgement)],
    )


def label_name(label: Label | None) -> str:
    """Return a label as the review desk shows it."""
    from dashboards.words import LABELS

    return NONE_SAID if label is None else LABELS[label]


def style() -> None:
    """Set the looks of every plot of a notebook; call it once, before the first."""
    import matplotlib.pyplot as plt

    warnings.filterwarnings("error", message=r"Glyph .* missing from")
    plt.rcParams.update(
        {
            "font.family": FONT,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.titlepad": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "grid.color": "#E6E6E6",
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "svg.fonttype": "none",  # text stays text in a vector file
            "pdf.fonttype": 42,
        }
    )


def decimal_comma(value: float, places: int = 2) -> str:
    """Return a number as it is written in Vietnamese: 0,75."""
    return f"{value:.{places}f}".replace(".", ",")


def show(figure: Any) -> None:  # noqa: ANN401  a matplotlib figure
    """Show a figure, its axes numbered with decimal commas."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import ScalarFormatter

    class Comma(ScalarFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return str(super().__call__(x, pos)).replace(".", ",")

    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if type(axis.get_major_formatter()) is ScalarFormatter:
                axis.set_major_formatter(Comma(useOffset=False))
    plt.show()


def bars(
    ax: Any,  # noqa: ANN401  matplotlib axes
    names: Sequence[str],
    values: Sequence[float],
    *,
    colour: str | Sequence[str] = BLUE,
    told: Sequence[str] | None = None,
) -> None:
    """Draw horizontal bars, the first on top, each with its value (or ``told``) at its end."""
    places = range(len(names))
    drawn = ax.barh(places, values, color=colour, height=0.7)
    ends = told or [f"{v:g}".replace(".", ",") for v in values]
    ax.bar_label(drawn, labels=ends, padding=3, fontsize=9)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.margins(x=0.15)
