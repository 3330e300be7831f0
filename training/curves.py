"""Learning curves as a picture: loss, and F1 at IoU 0.5 on the validation planes."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a picture file, also where there is no screen
from matplotlib import pyplot as plt


def draw_curves(log: list[dict[str, float]], out: Path) -> None:
    """Draw the entries of a run's log (`step`, `loss`, `f1`, `f1_<modality>`...) as a PNG."""
    if not log:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    steps = [entry["step"] for entry in log]
    left.plot(steps, [entry.get("loss", float("nan")) for entry in log], "o-", color="black")
    left.set(xlabel="step", ylabel="loss (training crops)")
    kinds = sorted({name for entry in log for name in entry if name.startswith("f1_")})
    for kind in kinds if len(kinds) > 1 else []:
        values = [entry.get(kind, float("nan")) for entry in log]
        right.plot(steps, values, linewidth=1, alpha=0.7, label=kind.removeprefix("f1_"))
    right.plot(steps, [entry["f1"] for entry in log], "o-", color="black", label="all")
    right.set(xlabel="step", ylabel="F1 at IoU 0.5 (validation)")
    right.legend(fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(out, dpi=110)
    plt.close(figure)
