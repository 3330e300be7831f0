"""Which version of a model gets a job: the promoted one, or for a share of the jobs the canary.

A model without a rollout has its jobs done by the newest version that is ready. All functions are
pure; `ports.RolloutBook` keeps what they return.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kiosk.errors import MODEL_NOT_LOADED, InvalidRequest, Outage, WrongState

# A hash of so many bytes places a job between 0 and 1 finely enough.
_PLACE_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The versions of one model that get its jobs.

    Attributes:
        model: name of the model.
        promoted: version that gets the jobs.
        previous: version that was promoted before; "" = none.
        canary: version on trial; "" = none.
        canary_ratio: share of the jobs that the canary gets, above 0 and at most 1.
    """

    model: str
    promoted: str
    previous: str = ""
    canary: str = ""
    canary_ratio: float = 0.0


def version_for(key: str, versions: Sequence[str], rollout: Rollout | None) -> str:
    """The version that does a job which names none; always the same for the same key.

    A canary that is not ready gets no jobs. A larger share leaves it the jobs that it had.

    Args:
        key: request id or id of the job.
        versions: that are ready, ascending; at least one.
        rollout: of the model; None = the newest version does all jobs.

    Raises:
        Outage: the promoted version is not ready. Another one would do the job with other results,
            and nobody would notice.
    """
    if rollout is None:
        return versions[-1]
    if rollout.canary in versions and _place(key, rollout) < rollout.canary_ratio:
        return rollout.canary
    if rollout.promoted not in versions:
        raise Outage(
            f"Version {rollout.promoted} of the model '{rollout.model}', which is the promoted one,"
            " is not loaded at present. Try again soon, or name a version.",
            reason=MODEL_NOT_LOADED,
        )
    return rollout.promoted


def _place(key: str, rollout: Rollout) -> float:
    """Where a job stands from 0 to 1; each canary has an order of its own."""
    text = f"{rollout.model}/{rollout.canary}/{key}"
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:_PLACE_BYTES]
    # The first 53 bits, so that the quotient is exact and below 1.
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def with_canary(rollout: Rollout, version: str, ratio: float) -> Rollout:
    """A share of the jobs goes to another version. Raises InvalidRequest, WrongState."""
    if not 0 < ratio <= 1:
        raise InvalidRequest("The share of a canary is above 0 % and at most 100 %.")
    if version == rollout.promoted:
        raise WrongState(
            f"Version {version} of '{rollout.model}' is the promoted one already; a canary is"
            " another version."
        )
    return replace(rollout, canary=version, canary_ratio=ratio)


def promoted_to(rollout: Rollout | None, model: str, version: str) -> Rollout:
    """All jobs go to a version; the one before is kept in mind. Raises WrongState."""
    if rollout is None:
        return Rollout(model=model, promoted=version)
    if version == rollout.promoted:
        hint = f" `kiosk models rollback {model}` ends the canary." if rollout.canary else ""
        raise WrongState(f"Version {version} of '{model}' is the promoted one already.{hint}")
    return Rollout(model=model, promoted=version, previous=rollout.promoted)


def rolled_back(rollout: Rollout | None, model: str) -> Rollout:
    """The last step is taken back: a canary ends, else the previous version is promoted again.

    Raises WrongState when there is nothing to go back to.
    """
    if rollout is not None and rollout.canary:
        return replace(rollout, canary="", canary_ratio=0.0)
    if rollout is None or not rollout.previous:
        raise WrongState(f"The model '{model}' has neither a canary nor a previous version.")
    return replace(rollout, promoted=rollout.previous, previous=rollout.promoted)
