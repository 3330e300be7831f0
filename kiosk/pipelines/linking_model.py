"""The linking network, hosted on Triton, as the score that the linker asks for."""

from __future__ import annotations

import numpy as np

from kiosk.imaging.link_scores import geometric_scores
from kiosk.imaging.linking import Score
from kiosk.pipelines.assembling import Fetch
from kiosk.pipelines.context import JobContext

# The network by its folder in the model repository.
LINKING_MODEL = "linking"


def score_of(context: JobContext, fetch: Fetch) -> Score:
    """How the links of a job are scored; the score is called in a thread."""
    version = context.tracking.linking_version
    if not version:
        return geometric_scores

    def score(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer: dict[str, np.ndarray] = fetch(
            context.inference.infer(LINKING_MODEL, version, arrays)
        )
        return answer

    return score
