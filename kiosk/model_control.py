"""Rolling out a version of a model: load it everywhere, try it, promote it, go back, retire it.

No step here takes a job from a version: jobs keep the version that they were accepted with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kiosk.errors import InvalidRequest, NotFound, Outage, WrongState
from kiosk.imaging.intensity import Limits
from kiosk.jobs import Job
from kiosk.models import LINKING, ModelCard
from kiosk.pipelines.linking_model import LINKING_MODEL
from kiosk.pipelines.tensors import model_inputs
from kiosk.ports import JobQueue, ModelReplica, RolloutBook
from kiosk.rollouts import Rollout, promoted_to, rolled_back, with_canary

Say = Callable[[str], None]
# Model -> version -> why it is not ready, see `ModelReplica.states`.
_States = Mapping[str, Mapping[str, str]]

# A folder that is being copied to a replica is looked for again after this long.
LOOK_EVERY_S = 2.0
PAGE = 500
# Servers may go by what they knew a moment ago, about rollouts and about versions that are ready.
HEARD_S = 6.0


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """Where one version is.

    Attributes:
        ready: addresses of the replicas where it is ready.
        missing: address -> why it is not, of the others.
    """

    ready: tuple[str, ...]
    missing: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """Where one model is, and who gets its jobs."""

    model: str
    rollout: Rollout | None
    versions: Mapping[str, VersionState] = field(default_factory=dict)

    @property
    def everywhere(self) -> list[str]:
        """Versions that every replica has ready, ascending."""
        return [version for version, state in self.versions.items() if not state.missing]


class ModelControl:
    """The steps of a rollout, over all replicas of Triton and the rollout book.

    Args:
        say: is told what is being done, a sentence at a time.
    """

    def __init__(
        self, replicas: Sequence[ModelReplica], book: RolloutBook, queue: JobQueue, say: Say
    ) -> None:
        self._replicas = replicas
        self._book = book
        self._queue = queue
        self._say = say

    async def status(self) -> list[ModelState]:
        """Every model that a replica has or that has a rollout, by name."""
        states: dict[str, _States] = {}
        silent = {}
        for replica in self._replicas:
            try:
                states[replica.address] = await replica.states()
            except Outage as error:
                states[replica.address], silent[replica.address] = {}, error.message
        rollouts = {rollout.model: rollout for rollout in await self._book.list()}
        names = sorted({name for models in states.values() for name in models} | rollouts.keys())
        return [_model_state(name, states, silent, rollouts.get(name)) for name in names]

    async def state(self, model: str) -> ModelState:
        """One model. Raises NotFound."""
        for state in await self.status():
            if state.model == model:
                return state
        raise NotFound(f"No Triton has a model '{model}', and it has no rollout.")

    async def load(
        self, model: str, version: str = "", canary_ratio: float = 0.0, patience_s: float = 0.0
    ) -> str:
        """Load a model on every replica, one after the other, and try it there with a tile.

        Which version gets the jobs stays as it is: without a rollout, the present default is
        promoted first.

        Args:
            version: that has to be ready afterwards; "" = the newest that is.
            canary_ratio: share of the jobs that the version gets then; 0 = none.
            patience_s: so long it is waited for a folder that is still being copied.

        Returns:
            The version.

        Raises:
            NotFound: a replica lacks the folder.
            PermanentError: it cannot be loaded or run.
        """
        if canary_ratio and not version:
            raise InvalidRequest("Name the version that is to be the canary, as NAME:VERSION.")
        await self._pin(model)
        for replica in self._replicas:
            version = await self._load_on(replica, model, version, patience_s)
        if canary_ratio:
            await self._book.update(model, lambda r: _canary(r, model, version, canary_ratio))
            share = f"{100 * canary_ratio:.3g} %"
            self._say(f"{share} of new jobs for '{model}' go to version {version}.")
        return version

    async def _pin(self, model: str) -> None:
        """Without a rollout the newest version gets the jobs as soon as it is ready."""
        found = [state for state in await self.status() if state.model == model]
        ready = [v for state in found for v, where in state.versions.items() if where.ready]
        if ready and found[0].rollout is None:
            await self._book.update(model, lambda r: r or promoted_to(None, model, ready[-1]))
            self._say(f"Version {ready[-1]} of '{model}' keeps the jobs until another is promoted.")

    async def _load_on(
        self, replica: ModelReplica, model: str, version: str, patience_s: float
    ) -> str:
        began_s = time.monotonic()
        while True:
            try:
                await replica.load(model)
                card = await self._card(replica, model, version)
                break
            except NotFound:
                if time.monotonic() - began_s >= patience_s:
                    raise
                await asyncio.sleep(LOOK_EVERY_S)
        version = version or card.versions[-1]
        self._say(
            f"{replica.address}: version {version} of '{model}' is loaded"
            f" ({time.monotonic() - began_s:.1f} s)."
        )
        await self._warm_up(replica, card, version)
        return version

    async def _card(self, replica: ModelReplica, model: str, version: str) -> ModelCard:
        states = (await replica.states()).get(model, {})
        if version and version not in states:
            there = ", ".join(states) or "none"
            raise NotFound(
                f"Triton at {replica.address} has no version {version} of '{model}'; it has:"
                f" {there}. Copy it into the model repository first."
            )
        if version and states[version]:
            raise WrongState(
                f"Version {version} of '{model}' is not ready at {replica.address}:"
                f" {states[version]}."
            )
        return await replica.card(model)

    async def _warm_up(self, replica: ModelReplica, card: ModelCard, version: str) -> None:
        """One empty tile of full size: the first one takes longest, and a job shall not wait."""
        if card.pipeline == LINKING:
            return  # it sees no tiles
        tile = np.zeros((max(1, len(card.channels)), card.tile_px, card.tile_px), np.uint16)
        began_s = time.monotonic()
        await replica.infer(card.name, version, model_inputs(card, tile, Limits(0.0, 1.0)))
        self._say(
            f"{replica.address}: an empty tile of {card.tile_px} px took"
            f" {time.monotonic() - began_s:.2f} s."
        )

    async def promote(self, model: str, version: str) -> Rollout:
        """All new jobs go to a version. Raises WrongState where a replica lacks it."""
        await self._check_everywhere(model, version)
        after = await self._book.update(model, lambda r: promoted_to(r, model, version))
        assert after is not None
        return after

    async def rollback(self, model: str) -> Rollout:
        """End the canary, or promote the previous version again.

        Raises WrongState when there is neither, and when no replica has that version.
        """
        state = await self.state(model)
        before, after = state.rollout, rolled_back(state.rollout, model)
        if before and not before.canary and not state.versions[after.promoted].ready:
            await self._check_everywhere(model, after.promoted)

        def change(rollout: Rollout | None) -> Rollout:
            if (again := rolled_back(rollout, model)) != after:
                raise WrongState(f"Somebody else has just changed the rollout of '{model}'.")
            return again

        await self._book.update(model, change)
        return after

    async def unpin(self, model: str) -> None:
        """Have no rollout: the newest version that is ready gets the jobs."""
        await self.state(model)
        await self._book.update(model, lambda _: None)

    async def _check_everywhere(self, model: str, version: str) -> None:
        state = (await self.state(model)).versions.get(version)
        if state is None:
            raise NotFound(f"No Triton has a version {version} of '{model}'.")
        for address, why in state.missing.items():
            raise WrongState(
                f"Version {version} of '{model}' is not ready at {address}: {why}. Load it first:"
                f" kiosk models load {model}:{version}"
            )

    async def unload(self, model: str, version: str = "", *, force: bool = False) -> None:
        """Unload a model, or retire one version of it, on every replica.

        Args:
            force: also while there are jobs for it, or while it is to get new ones.

        Raises:
            WrongState: without `force` in such a case; also for jobs that a server accepts at this
                very moment, and then all is loaded as it was.
        """
        state = await self.state(model)
        if version and version not in state.versions:
            raise NotFound(f"No Triton has a version {version} of '{model}'.")
        if force:
            return await self._unload(state, version)
        _check_idle(state, version)
        await asyncio.sleep(HEARD_S)
        await self._check_done(model, version)
        await self._unload(state, version)
        await asyncio.sleep(HEARD_S)
        try:
            await self._check_done(model, version)
        except WrongState:
            for replica in self._replicas:
                await replica.load(model)
            self._say(f"Jobs came for it meanwhile, so '{model}' is loaded again.")
            raise
        return None

    async def _unload(self, state: ModelState, version: str) -> None:
        model = state.model
        for replica in self._replicas:
            ready = [v for v, w in state.versions.items() if replica.address in w.ready]
            left = [v for v in ready if version and v != version]
            if left and version in ready:
                await replica.keep(model, left)
            elif not left:
                await replica.unload(model)
            self._say(f"{replica.address}: ready versions of '{model}': {', '.join(left) or '-'}.")

    async def _check_done(self, model: str, version: str) -> None:
        """Raises WrongState while there are jobs for a model, or a version of it."""
        token, count = "", 0
        while True:
            jobs, token = await self._queue.list_jobs(PAGE, token)
            count += sum(_needs(job, model, version) for job in jobs if not job.state.is_final)
            if not token:
                break
        if count:
            which = f"{model}:{version}" if version else model
            raise WrongState(
                f"{count} unfinished job{'s need' if count > 1 else ' needs'} {which}. Wait until"
                " they are done (kiosk jobs), or say --force: they wait for it then, and fail in"
                " the end."
            )


def _model_state(
    name: str,
    states: Mapping[str, _States],
    silent: Mapping[str, str],
    rollout: Rollout | None,
) -> ModelState:
    named = {version for models in states.values() for version in models.get(name, {})}
    if rollout is not None:
        named |= {rollout.promoted, rollout.previous, rollout.canary} - {""}
    versions = {}
    for version in sorted(named, key=int):
        reasons = {
            address: models.get(name, {}).get(version, silent.get(address, "it is not there"))
            for address, models in states.items()
        }
        versions[version] = VersionState(
            ready=tuple(address for address, why in reasons.items() if not why),
            missing={address: why for address, why in reasons.items() if why},
        )
    return ModelState(model=name, rollout=rollout, versions=versions)


def _canary(rollout: Rollout | None, model: str, version: str, ratio: float) -> Rollout:
    if rollout is None:
        raise WrongState(
            f"The model '{model}' has no other version that could keep the rest of the jobs."
        )
    return with_canary(rollout, version, ratio)


def _check_idle(state: ModelState, version: str) -> None:
    """Raises WrongState for a version that is to get new jobs."""
    rollout = state.rollout
    ready = [v for v, where in state.versions.items() if where.ready]
    if not version:
        return
    if rollout and version == rollout.canary:
        raise WrongState(
            f"Version {version} of '{state.model}' is the canary. End that first: kiosk models"
            f" rollback {state.model}"
        )
    if version == (rollout.promoted if rollout else ready[-1] if ready else ""):
        raise WrongState(
            f"Version {version} of '{state.model}' gets the jobs at present. Promote another first."
        )


def _needs(job: Job, model: str, version: str) -> bool:
    """Whether a job finds or links instances by a model, or a version of it."""
    linking = str(job.parameters.get("tracking", {}).get("linking_version", ""))
    used = {(job.model, job.model_version), (LINKING_MODEL, linking)}
    return any(name == model and found and found == (version or found) for name, found in used)
