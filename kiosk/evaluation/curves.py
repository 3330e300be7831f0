"""The charts of an evaluation: curves over the IoU threshold, predicted against true counts."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from kiosk.evaluation.comparison import Evaluation
from kiosk.imaging import charts
from kiosk.imaging.charts import Axis, Series
from kiosk.imaging.matching import MatchCounts
from kiosk.imaging.scores import THRESHOLDS, Scores

# (width, height): three charts in a row, or two and a legend.
CHART_PX, WIDE_PX = (544, 400), (740, 400)
# More curves than this cannot be told apart; the tables have all groups.
MOST_GROUPS = 12
MEASURES: tuple[tuple[str, Callable[[MatchCounts], float]], ...] = (
    ("precision", lambda counts: counts.precision),
    ("recall", lambda counts: counts.recall),
    ("F1", lambda counts: counts.f1),
    ("AP", lambda counts: counts.average_precision),
)
IOU_AXIS = Axis("IoU threshold", 0.48, 0.97, (0.5, 0.6, 0.7, 0.8, 0.9))
SHARE_AXIS = Axis("", 0, 1.02, (0, 0.2, 0.4, 0.6, 0.8, 1))
NEUTRAL: charts.Colour = (150, 150, 150)
OTHERS = (NEUTRAL, "circle")


def chart_rows(evaluation: Evaluation) -> list[Image.Image]:
    """Rows of charts: two charts without groups, a chart per measure with them."""
    groups = _largest_groups(evaluation)
    if not groups:
        colours = zip(MEASURES, charts.PALETTE, strict=False)
        curves = [_curve(name, evaluation.pooled, of, c) for (name, of), c in colours]
        pieces = [
            charts.chart(*WIDE_PX, "All planes pooled", IOU_AXIS, SHARE_AXIS, curves),
            charts.legend(150, CHART_PX[1], curves),
            _scatter(evaluation, {}, WIDE_PX),
        ]
        return [charts.side_by_side(pieces)]
    pieces = [_measure(evaluation.pooled, groups, *measure) for measure in MEASURES]
    entries = _curves(evaluation.pooled, groups, MEASURES[0][1])
    if others := len(evaluation.groups) - len(groups):
        entries.append(Series(f"{others} smaller groups (counts only)", (0,), (0,), *OTHERS))
    pieces += [_scatter(evaluation, groups, CHART_PX), charts.legend(*CHART_PX, entries)]
    return [charts.side_by_side(pieces[:3]), charts.side_by_side(pieces[3:])]


def _largest_groups(evaluation: Evaluation) -> dict[str, Scores]:
    """The groups to draw, by name: those with most true instances where there are too many."""
    groups = evaluation.groups
    largest = sorted(groups, key=lambda name: -groups[name].truth_count)[:MOST_GROUPS]
    return {name: groups[name] for name in sorted(largest)}


def _measure(
    pooled: Scores, groups: dict[str, Scores], name: str, of: Callable[[MatchCounts], float]
) -> Image.Image:
    curves = _curves(pooled, groups, of)
    return charts.chart(*CHART_PX, name, IOU_AXIS, SHARE_AXIS, curves)


def _curves(
    pooled: Scores, groups: dict[str, Scores], of: Callable[[MatchCounts], float]
) -> list[Series]:
    curves = [
        _curve(name, scores, of, *charts.style(number))
        for number, (name, scores) in enumerate(groups.items())
    ]
    return [*curves, _curve("all pooled", pooled, of, charts.INK, "", 3.5)]


def _curve(
    name: str,
    scores: Scores,
    of: Callable[[MatchCounts], float],
    colour: charts.Colour,
    marker: str = "circle",
    line_px: float = 2,
) -> Series:
    return Series(name, THRESHOLDS, [of(c) for c in scores.counts], colour, marker, line_px)


def _scatter(
    evaluation: Evaluation, groups: dict[str, Scores], size_px: tuple[int, int]
) -> Image.Image:
    """Predicted against true instances of each plane; on the line they agree."""
    counts = [(r.group, r.scores.truth_count, r.scores.predicted_count) for r in evaluation.planes]
    largest = max(max(truth, found) for _, truth, found in counts)
    x = charts.count_axis("true instances per plane (square-root axes)", largest)
    y = charts.count_axis("predicted instances per plane", largest)
    ends = (0, x.high)
    series = [Series("", ends, ends, NEUTRAL, "", 1.5)]
    rest = OTHERS if groups else charts.style(0)
    styles = {name: charts.style(number) for number, name in enumerate(groups)}
    for group in sorted({group for group, _, _ in counts}):
        truth = [t for g, t, _ in counts if g == group]
        found = [p for g, _, p in counts if g == group]
        series.append(Series(group, truth, found, *styles.get(group, rest)))
    return charts.chart(*size_px, "Counts", x, y, series)
