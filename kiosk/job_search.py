"""Which jobs somebody looks for."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.errors import InvalidRequest
from kiosk.jobs import Job, JobState

LONGEST_SEARCH = 200


@dataclass(frozen=True, kw_only=True)
class JobSearch:
    """Which jobs are looked for.

    Attributes:
        text: words that all occur in file name, model, state or owner, whatever their case.
        state: None = any.
        previews: previews too.
    """

    text: str = ""
    state: JobState | None = None
    previews: bool = False

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_SEARCH:
            raise InvalidRequest(
                f"The search has more than {LONGEST_SEARCH} letters; look for fewer words.",
                field="search",
            )

    @property
    def is_narrow(self) -> bool:
        """Most jobs may not fit."""
        return self.state is not None or bool(self.text.strip())

    def fits(self, job: Job) -> bool:
        if job.is_preview and not self.previews:
            return False
        if self.state not in (None, job.state):
            return False
        model = f"{job.model}:{job.model_version}"
        told = "\n".join((job.file_name, model, job.state.value, job.owner)).casefold()
        return all(word in told for word in self.text.casefold().split())


def state_named(name: str) -> JobState | None:
    """A state by its name, None for "". Raises InvalidRequest."""
    try:
        return JobState(name) if name else None
    except ValueError:
        known = ", ".join(state.value for state in JobState)
        raise InvalidRequest(
            f"There is no state '{name[:50]}'. The states are: {known}.", field="state"
        ) from None
