"""What is checked before a job is accepted: its model, its image, its mask, its movie.

Images are opened here already (headers only), so that a file that cannot be read or a channel that
is not there is answered at once and not by a failed job. The plan checks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace

from kiosk.errors import MODEL_NOT_LOADED, InvalidRequest, NotFound, Outage
from kiosk.jobs import Upload
from kiosk.models import LINKING, ModelCard
from kiosk.pipelines import PIPELINES, tracking
from kiosk.pipelines.context import OpenImages
from kiosk.pipelines.job_size import work_px
from kiosk.pipelines.linking_model import LINKING_MODEL
from kiosk.ports import InferenceClient, RolloutBook
from kiosk.reading import ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.rollouts import Rollout, version_for
from kiosk.tracking_request import GEOMETRIC, NETWORK, TrackingRequest

# Reading headers takes milliseconds; some files are made so that it takes minutes.
OPEN_TIMEOUT_S = 60.0
# So old may be what is known of rollouts: jobs come by the thousand, rollouts once a month.
ROLLOUTS_KEPT_S = 2.0


class Admission:
    """Decides what may become a job. Raises InvalidRequests that say what to change."""

    def __init__(
        self,
        *,
        inference: InferenceClient,
        rollouts: RolloutBook,
        images: OpenImages,
        job_px: int,
        frame_px: int,
    ) -> None:
        self._inference = inference
        self._book = rollouts
        self._rollouts: dict[str, Rollout] = {}
        self._rollouts_until_s = 0.0
        self._images = images
        self._job_px, self._frame_px = job_px, frame_px

    async def cards(self) -> list[ModelCard]:
        """The models that are ready, by name, each with its rollout. Raises TransientError."""
        if time.monotonic() >= self._rollouts_until_s:
            self._rollouts = {rollout.model: rollout for rollout in await self._book.list()}
            self._rollouts_until_s = time.monotonic() + ROLLOUTS_KEPT_S
        return sorted(
            (
                replace(card, rollout=self._rollouts.get(card.name))
                for card in await self._inference.models()
            ),
            key=lambda card: card.name,
        )

    async def card(self, name: str) -> ModelCard:
        """A model by its name. Raises NotFound, and Outage while it is being loaded."""
        cards = await self.cards()
        for card in cards:
            if card.name == name:
                # With a rollout it is known which version is meant, whatever is loaded beside it.
                if card.rollout is None:
                    await self._check_loaded(name)
                return card
        await self._check_loaded(name)
        # Nobody asks for the network that links.
        known = ", ".join(c.name for c in cards if c.pipeline != LINKING) or "none at present"
        raise NotFound(
            f"There is no model '{name}'. The models are: {known}.",
            reason="MODEL_NOT_FOUND",
            field="model",
        )

    async def _check_loaded(self, name: str) -> None:
        if name in await self._inference.absent():
            raise Outage(
                f"The model '{name}' is not loaded at present. Try again soon.",
                reason=MODEL_NOT_LOADED,
            )

    async def model(
        self, name: str, version: str, pipeline: str, key: str
    ) -> tuple[ModelCard, str]:
        """A model for a pipeline, and the version that will run.

        Args:
            version: that is asked for; "" = as the rollout of the model has it.
            key: decides whether it is the canary, see `rollouts.version_for`.

        Raises:
            Outage: the promoted version is not loaded.
            InvalidRequest: none is named, or it is for something else.
            NotFound: there is no such model or version.
        """
        if not name:
            raise InvalidRequest("The request names no model. Name one.", field="model")
        card = await self.card(name)
        if card.pipeline != pipeline:
            raise InvalidRequest(
                f"The model '{name}' is for {card.pipeline}, not for {pipeline}.", field="model"
            )
        if version and version not in card.versions:
            raise NotFound(
                f"The model '{name}' has no version '{version}'. Its versions are:"
                f" {', '.join(card.versions)}.",
                reason="MODEL_VERSION_NOT_FOUND",
                field="model_version",
            )
        return card, version or version_for(key, card.versions, card.rollout)

    async def check_image(
        self, upload: Upload, card: ModelCard, request: SegmentationRequest
    ) -> int:
        """How many pixels the job has."""
        with patience(upload):
            async with (
                asyncio.timeout(OPEN_TIMEOUT_S),
                self._images.use(upload.id, upload.file_name, request.reading) as source,
            ):
                PIPELINES[card.pipeline].check(source, card, request, self._job_px)
                return work_px(source.sizes, request)

    async def check_movie(
        self,
        upload: Upload,
        labels: Upload | None,
        card: ModelCard | None,
        request: TrackingRequest,
    ) -> int:
        """How many pixels the frames of the movie have."""
        reading = request.segmentation.reading
        with patience(upload):
            async with asyncio.timeout(OPEN_TIMEOUT_S), AsyncExitStack() as opened:
                # In the order of their ids: two requests of which each has the other's movie as
                # its labels would wait for each other for ever.
                wanted = {upload.id: (upload.id, upload.file_name, reading)}
                if labels is not None:
                    wanted.setdefault(labels.id, (labels.id, labels.file_name, ReadOptions()))
                sources = {
                    name: await opened.enter_async_context(self._images.use(*wanted[name]))
                    for name in sorted(wanted)
                }
                given = sources[labels.id] if labels is not None else None
                limits = {"job_px": self._job_px, "frame_px": self._frame_px}
                tracking.check(sources[upload.id], card, request, labels=given, **limits)
                return work_px(sources[upload.id].sizes, request.segmentation)

    async def linking_version(self, request: TrackingRequest, key: str) -> str:
        """The version of the network that will link; "" where none does. `key` as in `model`."""
        if not request.is_linked or request.linker == GEOMETRIC:
            return ""
        for card in await self.cards():
            if card.name == LINKING_MODEL and card.pipeline == LINKING:
                if card.rollout is None:
                    await self._check_loaded(LINKING_MODEL)
                return version_for(key, card.versions, card.rollout)
        await self._check_loaded(LINKING_MODEL)  # or results would depend on the moment
        if request.linker == NETWORK:
            raise NotFound(
                f"This kiosk hosts no linking network (a model named '{LINKING_MODEL}'); choose the"
                f" linker '{GEOMETRIC}'.",
                reason="MODEL_NOT_FOUND",
                field="linker",
            )
        return ""


@contextmanager
def patience(upload: Upload) -> Iterator[None]:
    """A sentence instead of a TimeoutError, around what looks into an upload."""
    try:
        yield
    except TimeoutError as error:
        raise InvalidRequest(
            f"The headers of '{upload.file_name}' take longer than {OPEN_TIMEOUT_S:g} seconds"
            " to read. Save the image anew as one plain or OME-TIFF stack.",
            reason="TOO_COMPLEX",
        ) from error
