"""The steps of a rollout over two replicas: load, promote, roll back, unload."""

from __future__ import annotations

from typing import Any

import pytest

from kiosk import model_control
from kiosk.cli.rollouts import _name_and_version, _ratio
from kiosk.errors import InvalidRequest, KioskError, NotFound, PermanentError, WrongState
from kiosk.jobs import Job, new_id
from kiosk.model_control import ModelControl
from kiosk.rollouts import Rollout
from kiosk.testing import FakeReplica, MemoryQueue, MemoryRolloutBook


class Site:
    """Two Tritons that have 'nuclei' in the versions 1 and 2, and its control."""

    def __init__(self) -> None:
        self.one = FakeReplica("a:1", nuclei=["1", "2"])
        self.other = FakeReplica("b:1", nuclei=["1", "2"])
        self.book, self.queue = MemoryRolloutBook(), MemoryQueue()
        self.said: list[str] = []
        both = [self.one, self.other]
        self.control = ModelControl(both, self.book, self.queue, self.said.append)

    def add(self, version: str) -> None:
        """Its folder is copied to both."""
        for replica in (self.one, self.other):
            replica.folders["nuclei"].add(version)

    async def rollout(self) -> Rollout | None:
        return next(iter(await self.book.list()), None)

    async def submit(self, version: str, **changes: Any) -> Job:
        fields = {"pipeline": "segmentation", "upload_id": "u", "file_name": "a.tif"}
        fields |= {"model": "nuclei", "model_version": version, **changes}
        return await self.queue.submit(Job(id=new_id(), **fields))


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(model_control, "HEARD_S", 0.0)
    return Site()


async def test_loading_changes_nothing_for_jobs(site: Site) -> None:
    site.add("3")
    assert await site.control.load("nuclei") == "3"
    assert await site.rollout() == Rollout(model="nuclei", promoted="2")
    tile = "tile nuclei:3 (1, 1, 128, 128)"
    assert site.one.calls == site.other.calls == ["load nuclei", tile]
    assert any("b:1: an empty tile of 128 px took" in sentence for sentence in site.said)


async def test_the_first_version_of_a_model_needs_no_promotion(site: Site) -> None:
    for replica in (site.one, site.other):
        replica.folders["cells"] = {"1"}
    with pytest.raises(WrongState, match="no other version"):
        await site.control.load("cells", "1", 0.1)
    for replica in (site.one, site.other):
        replica.ready["cells"] = set()
    assert await site.control.load("cells", "1") == "1"
    assert await site.book.list() == []


async def test_a_canary_is_loaded_before_it_gets_jobs(site: Site) -> None:
    site.add("3")
    await site.control.load("nuclei", "3", 0.1)
    canary = Rollout(model="nuclei", promoted="2", canary="3", canary_ratio=0.1)
    assert await site.rollout() == canary
    site.add("4")
    site.other.broken.add(("nuclei", "4"))
    with pytest.raises(PermanentError, match="b:1 cannot load"):
        await site.control.load("nuclei", "4", 0.5)
    assert await site.rollout() == canary
    with pytest.raises(InvalidRequest, match="NAME:VERSION"):
        await site.control.load("nuclei", "", 0.5)


async def test_a_canary_that_cannot_be_run_gets_no_jobs(site: Site) -> None:
    site.add("3")

    async def fail(*_: object) -> dict[str, Any]:
        raise PermanentError("The model refused the image.")

    site.other.infer = fail  # type: ignore[method-assign]
    with pytest.raises(PermanentError):
        await site.control.load("nuclei", "3", 0.1)
    assert await site.rollout() == Rollout(model="nuclei", promoted="2")


async def test_a_folder_that_is_still_being_copied_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="no version 3"):
        await site.control.load("nuclei", "3")
    with pytest.raises(NotFound, match="no model folder"):
        await site.control.load("moon")

    async def copied(_: float) -> None:
        site.add("3")

    monkeypatch.setattr(model_control.asyncio, "sleep", copied)
    assert await site.control.load("nuclei", "3", patience_s=60.0) == "3"


async def test_promoting_and_going_back(site: Site) -> None:
    assert await site.control.promote("nuclei", "1") == Rollout(model="nuclei", promoted="1")
    await site.control.promote("nuclei", "2")
    await site.control.load("nuclei", "1", 0.5)
    assert (await site.control.rollback("nuclei")).canary == ""
    assert (await site.control.rollback("nuclei")).promoted == "1"
    await site.control.unpin("nuclei")
    assert await site.rollout() is None
    for model in ("nuclei", "moon"):
        with pytest.raises((WrongState, NotFound)):
            await site.control.rollback(model)


async def test_only_what_is_ready_everywhere_is_promoted(site: Site) -> None:
    site.other.ready["nuclei"].remove("1")
    with pytest.raises(WrongState, match=r"not ready at b:1: unloaded\. Load it first: kiosk"):
        await site.control.promote("nuclei", "1")
    site.other.is_down = True
    with pytest.raises(WrongState, match="not ready at b:1: The model server"):
        await site.control.promote("nuclei", "2")
    with pytest.raises(NotFound):
        await site.control.promote("nuclei", "9")
    assert await site.rollout() is None


async def test_going_back_to_what_is_gone_is_refused(site: Site) -> None:
    await site.control.promote("nuclei", "1")
    await site.control.promote("nuclei", "2")
    site.other.ready["nuclei"].remove("1")  # one has it: better than none in an emergency
    await site.control.rollback("nuclei")
    await site.control.rollback("nuclei")
    site.one.ready["nuclei"].remove("1")
    with pytest.raises(WrongState, match="Load it first"):
        await site.control.rollback("nuclei")


async def test_one_version_is_retired(site: Site) -> None:
    await site.control.promote("nuclei", "2")
    await site.control.unload("nuclei", "1")
    assert site.one.calls == site.other.calls == ["keep nuclei 2"]
    (state,) = await site.control.status()
    assert state.everywhere == ["2"]
    await site.control.unload("nuclei", "2", force=True)
    assert site.one.calls[-1] == "unload nuclei"
    with pytest.raises(NotFound):
        await site.control.unload("nuclei", "9")


async def test_what_gets_jobs_is_not_unloaded(site: Site) -> None:
    with pytest.raises(WrongState, match="Promote another first"):
        await site.control.unload("nuclei", "2")
    await site.control.load("nuclei", "1", 0.5)
    with pytest.raises(WrongState, match="is the canary"):
        await site.control.unload("nuclei", "1")
    assert site.one.ready["nuclei"] == {"1", "2"}


async def test_what_jobs_wait_for_is_not_unloaded(site: Site) -> None:
    job = await site.submit("1")
    for version in ("", "1"):
        with pytest.raises(WrongState, match=r"1 unfinished job needs nuclei.*--force"):
            await site.control.unload("nuclei", version)
    await site.queue.cancel(job.id)
    await site.control.unload("nuclei", "1")
    await site.control.unload("nuclei")
    assert site.one.ready["nuclei"] == set()


async def test_a_job_that_comes_at_the_last_moment_is_not_left_alone(site: Site) -> None:
    unload = site.other.keep

    async def keep(model: str, versions: Any) -> None:
        await unload(model, versions)
        await site.submit("1")  # by a server that has not heard of it

    site.other.keep = keep  # type: ignore[method-assign]
    with pytest.raises(WrongState, match="1 unfinished job needs nuclei:1"):
        await site.control.unload("nuclei", "1")
    assert site.one.ready == site.other.ready == {"nuclei": {"1", "2"}}
    assert "loaded again" in site.said[-1]


async def test_the_linking_network_is_needed_by_jobs_that_link(site: Site) -> None:
    for replica in (site.one, site.other):
        replica.folders["linking"] = replica.ready["linking"] = {"1", "2"}  # type: ignore[assignment]
    await site.submit("2", parameters={"tracking": {"linking_version": "1"}})
    with pytest.raises(WrongState, match="needs linking:1"):
        await site.control.unload("linking", "1")


async def test_the_status_shows_all_that_is_known(site: Site) -> None:
    await site.book.update("moon", lambda _: Rollout(model="moon", promoted="7"))
    site.other.ready["nuclei"].remove("2")
    moon, nuclei = await site.control.status()
    assert moon.versions["7"].missing == dict.fromkeys(("a:1", "b:1"), "it is not there")
    assert nuclei.versions["1"].ready == ("a:1", "b:1")
    assert nuclei.versions["2"].ready == ("a:1",)
    assert nuclei.versions["2"].missing == {"b:1": "unloaded"}


@pytest.mark.parametrize(
    ("text", "ratio"), [("10%", 0.1), (" 12.5 % ", 0.125), ("100%", 1.0), ("0.5%", 0.005)]
)
def test_shares(text: str, ratio: float) -> None:
    assert _ratio(text) == pytest.approx(ratio)


@pytest.mark.parametrize("text", ["10", "0%", "101%", "-1%", "a%", "%", "nan%", ""])
def test_shares_that_are_none(text: str) -> None:
    with pytest.raises(KioskError, match="10%"):
        _ratio(text)


def test_names_with_versions() -> None:
    assert _name_and_version("nuclei") == ("nuclei", "")
    assert _name_and_version("nuclei:12") == ("nuclei", "12")
    for wrong in (":1", "nuclei:a", "nuclei:1:2", ""):
        with pytest.raises(InvalidRequest):
            _name_and_version(wrong)
