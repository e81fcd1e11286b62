"""Draws the curves of a report as SVG that takes its colours from the page, light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from overt.cli.evaluate.trials import Trials
from overt.contracts.evidence import CountedRate, MeasuredGroup
from overt.recognition.curves import Curve, thresholds_around

# Drawn in these colours, and then given the page's: each stands for a custom property of the style sheet.
INK, GRID = "#010101", "#020202"
SERIES = ("#030303", "#040404", "#050505")
PAGE = {INK: "var(--ink)", GRID: "var(--line)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
STEP = 0.005
WIDTH_INCH, HEIGHT_INCH = 5.2, 3.7


def draw(name: str, paint: Callable[[Axes], None], *, height_inch: float = HEIGHT_INCH) -> str:
    """Return what `paint` puts on axes as one `<svg>` without a reference to anything outside.

    `name` sets its identifiers apart from those of other figures on the page; the same input gives the
    same text.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH_INCH, height_inch), layout="constrained")
        paint(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_the_page(buffer.getvalue(), name)


def _for_the_page(svg: str, name: str) -> str:
    """Return the `<svg>` element alone, in the page's colours, with identifiers of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" role="img">', svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    svg = re.sub(r"font: ?([\d.]+)px [^;\"]*", r"font: \1px var(--font)", svg)
    for colour, value in PAGE.items():
        svg = svg.replace(colour, value)
    return svg


def curves_of(trials: Sequence[Trials], rank: int) -> tuple[Curve, ...]:
    """Return a fine curve for each list."""
    return tuple(each.curve(thresholds_around(each.best_S, each.mated_M, step=STEP), rank) for each in trials)


def det(curves: Sequence[Curve], titles: Sequence[str], names: tuple[str, str]) -> str:
    """Return misses against false positives, both logarithmic; `names` are those of the two rates."""

    def paint(axes: Axes) -> None:
        for curve, title, colour in zip(curves, titles, SERIES, strict=False):
            false_T, missed_T = curve.false_T / curve.non_mated, 1 - curve.found_T / curve.mated
            seen_T = (false_T > 0) & (missed_T > 0)
            axes.plot(false_T[seen_T], missed_T[seen_T], color=colour, label=title)
        axes.set(xscale="log", yscale="log", xlabel=names[0], ylabel=names[1])
        axes.set(xlim=_from_half_a_count(curves, "non_mated"), ylim=_from_half_a_count(curves, "mated"))
        _percent(axes, "xy")
        axes.legend()

    return draw("det", paint)


def roc(curves: Sequence[Curve], titles: Sequence[str], names: tuple[str, str]) -> str:
    """Return hits against false positives (logarithmic), with the 95 % interval of the hits."""

    def paint(axes: Axes) -> None:
        for curve, title, colour in zip(curves, titles, SERIES, strict=False):
            seen = np.flatnonzero(curve.false_T > 0)
            false = curve.false_T[seen] / curve.non_mated
            rates = [curve.tpir(int(at)) for at in seen]
            axes.plot(false, [rate.value for rate in rates], color=colour, label=title)
            low, high = [rate.lower_95 for rate in rates], [rate.upper_95 for rate in rates]
            axes.fill_between(false, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set(xscale="log", xlabel=names[0], ylabel=names[1], xlim=_from_half_a_count(curves, "non_mated"))
        _percent(axes, "xy")
        axes.legend(loc="lower right")

    return draw("roc", paint)


def _from_half_a_count(curves: Sequence[Curve], of: Literal["mated", "non_mated"]) -> tuple[float, float]:
    """Return the limits of a logarithmic axis: one error of the largest sample has its place, none has not."""
    return 0.5 / max(curve.mated if of == "mated" else curve.non_mated for curve in curves), 1.0


def against_threshold(curve: Curve, names: tuple[str, str], threshold: float | None) -> str:
    """Return both rates of one list against the threshold, each with its 95 % interval."""

    def paint(axes: Axes) -> None:
        for rate_at, name, colour in ((curve.fpir, names[0], SERIES[1]), (curve.tpir, names[1], SERIES[0])):
            rates = [rate_at(at) for at in range(len(curve))]
            axes.plot(curve.thresholds_T, [rate.value for rate in rates], color=colour, label=name)
            low, high = [rate.lower_95 for rate in rates], [rate.upper_95 for rate in rates]
            axes.fill_between(curve.thresholds_T, low, high, color=colour, alpha=0.15, linewidth=0)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linestyle=":", linewidth=1)
        axes.set_yscale("symlog", linthresh=0.001)
        axes.set(xlabel="threshold (cosine)", ylim=(0, 1.05))
        _percent(axes, "y")
        axes.legend(loc="lower left")

    return draw("threshold", paint)


def histogram(trials: Trials, names: tuple[str, str], threshold: float | None) -> str:
    """Return how the scores of non-mated and mated searches are spread."""

    def paint(axes: Axes) -> None:
        mated = trials.mated_M[np.isfinite(trials.mated_M)]
        other = trials.best_S[np.isfinite(trials.best_S)]
        edges = thresholds_around(mated, other, step=0.02)
        for scores, name, colour in ((other, names[0], SERIES[1]), (mated, names[1], SERIES[0])):
            shares = np.full(len(scores), 1 / max(len(scores), 1))
            axes.hist(scores, bins=edges.tolist(), weights=shares, color=colour, alpha=0.55, label=name)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linestyle=":", linewidth=1)
        axes.set(xlabel="score (cosine)", ylabel="share of searches")
        _percent(axes, "y")
        axes.legend()

    return draw("scores", paint)


def by_group(groups: Sequence[MeasuredGroup], names: tuple[str, str]) -> str:
    """Return both rates of each group with their 95 % intervals."""

    def paint(axes: Axes) -> None:
        titles = [f"{group.column}: {group.value}" for group in groups]
        for shift, colour, name, rates in (
            (0.15, SERIES[0], names[1], [group.tpir for group in groups]),
            (-0.15, SERIES[1], names[0], [group.fpir for group in groups]),
        ):
            _bars(axes, rates, shift=shift, colour=colour, name=name)
        axes.set_yticks(range(len(titles)), titles)
        axes.invert_yaxis()
        axes.set(xlim=(-0.02, 1.02))
        _percent(axes, "x")
        axes.legend(loc="center")

    return draw("groups", paint, height_inch=max(HEIGHT_INCH, 1.0 + 0.25 * len(groups)))


def alerts(points: Sequence[tuple[str, float, bool]], threshold: float) -> str:
    """Return the similarity of each alert of each clip; `points`: clip, similarity, whether it was false."""

    def paint(axes: Axes) -> None:
        clips = list(dict.fromkeys(clip for clip, _, _ in points))
        for false, colour, name in ((False, SERIES[0], "expected"), (True, SERIES[1], "false")):
            chosen = [
                (similarity, clips.index(clip)) for clip, similarity, is_false in points if is_false is false
            ]
            if chosen:
                axes.plot(*zip(*chosen, strict=True), "o", color=colour, label=name)
        axes.axvline(threshold, color=INK, linestyle=":", linewidth=1, label="threshold")
        axes.set_yticks(range(len(clips)), clips)
        axes.invert_yaxis()
        axes.set(xlabel="similarity (cosine)", xlim=(min(threshold, 1.0) - 0.05, 1.0))
        axes.legend()

    return draw("alerts", paint)


def _bars(axes: Axes, rates: Sequence[CountedRate | None], *, shift: float, colour: str, name: str) -> None:
    known = [(place, rate) for place, rate in enumerate(rates) if rate is not None]
    values = np.array([rate.count / rate.total for _, rate in known])
    low = values - [rate.lower_95 for _, rate in known]
    high = np.array([rate.upper_95 for _, rate in known]) - values
    places = [place + shift for place, _ in known]
    axes.errorbar(values, places, xerr=[low, high], fmt="o", color=colour, label=name, markersize=4)


def _percent(axes: Axes, which: str) -> None:
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        if name in which:
            axis.set_major_formatter(FuncFormatter(_percent_of))


def _percent_of(share: float, _position: int | None) -> str:
    return f"{100 * share:.4g}%"
