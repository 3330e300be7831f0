"""Which version of a model a job gets: as its rollout has it, unless the caller names one."""

from __future__ import annotations

from collections import Counter

import pytest
from test_service import tiff

from kiosk import admission
from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.errors import AlreadyExists, NotFound, Outage, TransientError
from kiosk.models import LINKING
from kiosk.rollouts import Rollout
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, make_card, make_kiosk
from kiosk.tracking_request import TrackingRequest
from kiosk.wire import model_to_json

CARDS = [
    make_card("nuclei", versions=("1", "2", "3")),
    make_card("linking", versions=("1", "2"), pipeline=LINKING),
]


@pytest.fixture
async def kiosk(monkeypatch: pytest.MonkeyPatch) -> FakeKiosk:
    monkeypatch.setattr(admission, "ROLLOUTS_KEPT_S", 0.0)
    return make_kiosk(ImageFileReader(LimitSettings()), inference=FakeInference(CARDS))


async def keep(kiosk: FakeKiosk, **fields: object) -> None:
    rollout = Rollout(**{"model": "nuclei", "promoted": "1", **fields})  # type: ignore[arg-type]
    await kiosk.rollouts.update(rollout.model, lambda _: rollout)


async def versions(kiosk: FakeKiosk, count: int = 1, **asked: str) -> Counter[str]:
    upload_id = await kiosk.upload(tiff(16, 16))
    jobs = [
        await kiosk.service.segment(upload_id=upload_id, model="nuclei", caller=LOCAL, **asked)
        for _ in range(count)
    ]
    return Counter(job.model_version for job in jobs)


async def test_the_promoted_version_does_it_whatever_is_newer(kiosk: FakeKiosk) -> None:
    assert await versions(kiosk) == {"3": 1}
    await keep(kiosk)
    assert await versions(kiosk, 5) == {"1": 5}
    assert await versions(kiosk, model_version="3") == {"3": 1}


async def test_a_canary_gets_its_share(kiosk: FakeKiosk) -> None:
    await keep(kiosk, canary="3", canary_ratio=0.5)
    found = await versions(kiosk, 60)
    assert set(found) == {"1", "3"}
    assert 10 < found["3"] < 50


async def test_one_request_id_is_one_job_also_when_another_version_was_promoted(
    kiosk: FakeKiosk,
) -> None:
    upload_id = await kiosk.upload(tiff(16, 16))
    asked = {"upload_id": upload_id, "model": "nuclei", "request_id": "r", "caller": LOCAL}
    first = await kiosk.service.segment(**asked)  # type: ignore[arg-type]
    await keep(kiosk)
    again = await kiosk.service.segment(**asked)  # type: ignore[arg-type]
    assert (again.id, again.model_version) == (first.id, "3")
    with pytest.raises(AlreadyExists):
        await kiosk.service.segment(model_version="1", **asked)  # type: ignore[arg-type]


async def test_no_other_version_stands_in_for_the_promoted_one(kiosk: FakeKiosk) -> None:
    await keep(kiosk, promoted="7")
    with pytest.raises(Outage, match="Version 7 of the model 'nuclei'"):
        await versions(kiosk)
    assert await versions(kiosk, model_version="2") == {"2": 1}
    with pytest.raises(NotFound, match="no version '7'"):
        await versions(kiosk, model_version="7")


async def test_loading_another_version_holds_up_nothing(kiosk: FakeKiosk) -> None:
    kiosk.inference.loading = ["nuclei"]
    with pytest.raises(Outage):  # which is the newest version is not known yet
        await versions(kiosk)
    await keep(kiosk)
    assert await versions(kiosk) == {"1": 1}


async def test_the_linking_network_has_a_rollout_too(kiosk: FakeKiosk) -> None:
    await keep(kiosk, model="linking", promoted="1")
    upload_id = await kiosk.upload(tiff(3, 16, 16, metadata={"axes": "TYX"}))
    job = await kiosk.service.track(
        upload_id=upload_id, model="nuclei", request=TrackingRequest(), caller=LOCAL
    )
    assert job.model_version == "3"
    assert job.parameters["tracking"]["linking_version"] == "1"


async def test_while_redis_is_away_it_is_said_as_for_every_submission(kiosk: FakeKiosk) -> None:
    kiosk.rollouts.is_down = True
    with pytest.raises(TransientError, match="Redis does not answer"):
        await versions(kiosk)


async def test_rollouts_are_remembered_for_a_moment(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "ROLLOUTS_KEPT_S", 1000.0)
    await versions(kiosk, 5)
    assert kiosk.rollouts.looks == 1


async def test_models_tell_which_version_is_which(kiosk: FakeKiosk) -> None:
    plain = model_to_json(await kiosk.service.get_model("nuclei", caller=LOCAL))
    assert (plain["default_version"], plain["canary_version"]) == ("3", "")
    await keep(kiosk, promoted="2", canary="3", canary_ratio=0.25)
    told = model_to_json(await kiosk.service.get_model("nuclei", caller=LOCAL))
    names = ("versions", "default_version", "canary_version", "canary_ratio")
    assert [told[name] for name in names] == [["1", "2", "3"], "2", "3", 0.25]
