"""`kiosk evaluate`: label images against ground truth.

pairs       the files that belong together, and their planes
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

ctc_folders      results and truth in the layout of the Cell Tracking Challenge
ctc_rules        what tracks and masks must be like there
tracking         SEG, DET, TRA, LNK and divisions of tracked movies
tracking_output  these figures as JSON, as CSV and for the terminal
"""

from __future__ import annotations

from kiosk.evaluation.comparison import Evaluation, PlaneResult, evaluate
from kiosk.imaging.scores import THRESHOLDS, Scores, score_plane

__all__ = ["THRESHOLDS", "Evaluation", "PlaneResult", "Scores", "evaluate", "score_plane"]
