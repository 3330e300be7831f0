"""`kiosk evaluate`: label images against ground truth.

pairs       the files that belong together, and their planes
scores      figures of one plane, which add up to pooled ones
groups      which image belongs to which group, from a CSV file
comparison  all of it: planes, groups, worst planes
rows        the figures as JSON and CSV
tables      the figures for the terminal
charts      lines, points, legends and text, drawn with Pillow
tiles       a plane with the outlines of truth and prediction
images      the pixels to show under the outlines
curves      the charts of an evaluation
worst       the worst planes with their captions
picture     charts and worst planes on one sheet
output      the files that are written
"""

from __future__ import annotations

from kiosk.evaluation.comparison import Evaluation, PlaneResult, evaluate
from kiosk.evaluation.scores import THRESHOLDS, Scores, score_plane

__all__ = ["THRESHOLDS", "Evaluation", "PlaneResult", "Scores", "evaluate", "score_plane"]
