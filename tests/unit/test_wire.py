"""Between the domain and the wire: codes of errors, messages, JSON."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2

from kiosk import errors, wire
from kiosk._proto import kiosk_pb2 as pb
from kiosk.errors import (
    InvalidRequest,
    JobFailed,
    KioskError,
    NotFound,
    Overloaded,
    TooLarge,
    TransientError,
    WrongState,
)
from kiosk.jobs import Job, JobEvent, JobState, ResultFile, Stage, Upload
from kiosk.reading import ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.testing import make_card
from kiosk.tracking_request import TrackingRequest

FAMILY = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, KioskError)
]
JOB = Job(
    id="j1",
    pipeline="segmentation",
    upload_id="u1",
    file_name="cells ü.tif",
    model="nuclei",
    model_version="2",
    parameters={"channel": "1", "postprocessing": {"min_area_px": 3.5}},
    state=JobState.FAILED,
    stage=Stage.FINISHED,
    parts_total=7,
    parts_done=3,
    error="It failed.",
    error_reason="BAD",
    notes=("a", "b"),
    create_time_s=1_700_000_000.25,
    expire_time_s=1_700_600_000.0,
)


def make(kind: type[KioskError], message: str = "Something is wrong.") -> KioskError:
    if kind is JobFailed:
        return JobFailed(message, job_id="j1", reason="BAD")
    return kind(message, field="model")


@pytest.mark.parametrize("kind", FAMILY)
def test_every_error_has_a_status_of_its_own_or_of_its_parent(kind: type[KioskError]) -> None:
    code, http = wire.status_of(make(kind))
    assert kind in wire.STATUS_OF_ERROR or kind is JobFailed
    assert code is not grpc.StatusCode.OK
    assert 400 <= http < 600


@pytest.mark.parametrize("kind", FAMILY)
def test_callers_fault_is_4xx_and_ours_is_5xx(kind: type[KioskError]) -> None:
    _, http = wire.status_of(make(kind))
    refused = errors.Unauthenticated | errors.PermissionDenied | errors.ReaderFailed
    callers = issubclass(kind, InvalidRequest | Overloaded | errors.LeaseLost | refused)
    assert callers == (http < 500)


def test_only_what_may_succeed_later_has_a_code_that_clients_repeat() -> None:
    repeated = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert {Overloaded, TransientError, errors.Outage} == {
        kind for kind in FAMILY if wire.status_of(make(kind))[0] in repeated
    }


def test_subclass_without_a_row_takes_that_of_its_parent() -> None:
    class Odd(WrongState):
        """Not in the table."""

    assert wire.status_of(WrongState("x")) == wire.status_of(Odd("x"))


@pytest.mark.parametrize("kind", FAMILY)
def test_details_survive_the_wire(kind: type[KioskError]) -> None:
    error = make(kind, "Größe: 5 > 4.")
    status = type(wire.rpc_status(error)).FromString(wire.rpc_status(error).SerializeToString())
    assert wire.status_of(error)[0].name == code_pb2.Code.Name(status.code)
    assert status.message == "Größe: 5 > 4."
    found = {detail.TypeName().rsplit(".", 1)[1]: detail for detail in status.details}
    info = error_details_pb2.ErrorInfo()
    assert found["ErrorInfo"].Unpack(info)
    assert (error.reason, "kiosk") == (info.reason, info.domain)
    assert issubclass(kind, Overloaded | TransientError) == ("RetryInfo" in found)
    assert issubclass(kind, InvalidRequest) == ("BadRequest" in found)


def test_field_of_a_bad_request() -> None:
    status = wire.rpc_status(NotFound("There is no such model.", field="model"))
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    assert (
        bad.field_violations[0].field,
        bad.field_violations[0].description,
    ) == ("model", "There is no such model.")


@pytest.mark.parametrize("kind", FAMILY)
def test_problem_json(kind: type[KioskError]) -> None:
    error = make(kind)
    problem = json.loads(json.dumps(wire.problem_json(error)))
    assert {"type", "title", "status", "detail", "reason"} <= set(problem)
    assert (wire.status_of(error)[1], error.message, error.reason) == (
        problem["status"],
        problem["detail"],
        problem["reason"],
    )
    assert ("errors" in problem) == bool(error.field)


def test_problem_json_as_a_whole() -> None:
    assert wire.problem_json(TooLarge("Too large.", reason="UPLOAD_TOO_LARGE", field="size")) == {
        "type": "about:blank",
        "title": "Upload too large",
        "status": 413,
        "detail": "Too large.",
        "reason": "UPLOAD_TOO_LARGE",
        "errors": [{"field": "size", "detail": "Too large."}],
    }


def test_names() -> None:
    assert wire.id_of("jobs/j1", "jobs") == "j1"
    assert wire.result_of("jobs/j1/results/a b_labels.tif") == ("j1", "a b_labels.tif")


@pytest.mark.parametrize("name", ["", "jobs", "jobs/", "j1", "uploads/j1", "jobs/a/b", "/jobs/a"])
def test_bad_names(name: str) -> None:
    with pytest.raises(NotFound):
        wire.id_of(name, "jobs")


@pytest.mark.parametrize(
    "name", ["", "jobs/j1", "jobs/j1/parts/x", "uploads/j1/results/x", "jobs/j1/results/a/b"]
)
def test_bad_result_names(name: str) -> None:
    with pytest.raises(NotFound):
        wire.result_of(name)


def test_job_as_a_message() -> None:
    message = pb.Job.FromString(wire.job_to_proto(JOB).SerializeToString())
    assert (
        message.name,
        message.upload,
        message.file_name,
    ) == ("jobs/j1", "uploads/u1", "cells ü.tif")
    assert (
        message.state,
        message.stage,
        message.parts_done,
        message.parts_total,
    ) == (pb.JOB_STATE_FAILED, "finished", 3, 7)
    assert (message.error.reason, message.error.message) == ("BAD", "It failed.")
    assert list(message.notes) == ["a", "b"]
    assert (message.create_time.seconds, message.create_time.nanos) == (1_700_000_000, 250_000_000)
    assert not message.HasField("start_time")
    assert JOB.parameters == json_format.MessageToDict(message.parameters)


@pytest.mark.parametrize("state", JobState)
def test_every_state_has_its_word_in_the_api(state: JobState) -> None:
    job = JOB.evolve(state=state)
    assert f"JOB_STATE_{state.name}" == pb.JobState.Name(wire.job_to_proto(job).state)
    assert state.value == wire.job_to_json(job)["state"]


def test_job_without_an_error_has_none() -> None:
    assert not wire.job_to_proto(JOB.evolve(error="", error_reason="")).HasField("error")


def test_job_as_json() -> None:
    data = json.loads(json.dumps(wire.job_to_json(JOB)))
    assert (
        data["id"],
        data["name"],
        data["state"],
        data["parts_done"],
    ) == ("j1", "jobs/j1", "failed", 3)


def test_event_upload_result_and_model() -> None:
    event = wire.event_to_proto(JobEvent(id="5-0", job=JOB))
    assert (event.id, event.job.name) == ("5-0", "jobs/j1")
    upload = Upload(id="u1", file_name="f", size_bytes=2**40, offset_bytes=3, expire_time_s=9.0)
    assert wire.upload_to_json(upload)["size_bytes"] == 2**40
    assert wire.upload_to_json(upload)["offset_bytes"] == 3
    result = ResultFile(
        job_id="j1", file_name="f.csv", size_bytes=5, media_type="text/csv", description="d"
    )
    assert wire.result_to_proto(result).name == "jobs/j1/results/f.csv"
    assert wire.result_to_json(result)["size_bytes"] == 5
    model = wire.model_to_json(make_card())
    assert (model["name"], model["versions"]) == ("models/bright", ["1", "2"])
    assert model["default_parameters"] == {"smoothing_px": 0.0, "min_area_px": 1.0}
    assert model["head"] == "distance"
    assert model["parameters"][1] == {
        "name": "smoothing_px",
        "kind": "number",
        "default_value": 0.0,
        "minimum": 0.0,
        "maximum": 100.0,
        "unit": "px",
        "meaning": make_card().parameters[1].meaning,
    }


def test_unknown_size_stays_negative() -> None:
    upload = Upload(id="u1", file_name="f", size_bytes=-1)
    assert wire.upload_to_json(upload)["size_bytes"] == -1


def test_times_for_people() -> None:
    assert wire.rfc3339(1_700_000_000) == "2023-11-14T22:13:20+00:00"


def test_every_wish_of_a_tracking_arrives() -> None:
    message = pb.TrackRequest(
        channel="DAPI",
        parameters={"min_area_px": 3.0},
        reading=pb.ReadOptions(axes="TYX", pixel_size_um=0.5),
        formats=["ctc", "tracks"],
        labels="uploads/l",
        tracks="uploads/t",
        labels_are_tracks=True,
        skip_bad_frames=True,
        linker="geometric",
        longest_gap_frames=0,
        reach_px=12.5,
        no_divisions=True,
        no_drift_correction=True,
        no_mending=True,
    )
    assert wire.tracking_from_proto(message) == TrackingRequest(
        segmentation=SegmentationRequest(
            channel="DAPI",
            postprocessing={"min_area_px": 3.0},
            reading=ReadOptions(axes="TYX", pixel_size_um=0.5),
            formats=("ctc", "tracks"),
        ),
        labels="l",
        tracks="t",
        labels_are_tracks=True,
        skip_bad_frames=True,
        linker="geometric",
        longest_gap_frames=0,
        reach_px=12.5,
        divisions=False,
        correct_drift=False,
        mend=False,
    )
    read = {"upload", "model", "model_version", "request_id", "priority"}
    set_here = {field.name for field, _ in message.ListFields()}
    assert set_here == {field.name for field in pb.TrackRequest.DESCRIPTOR.fields} - read
    assert wire.tracking_from_proto(pb.TrackRequest()) == TrackingRequest()


def test_a_job_without_a_model_survives_the_wire() -> None:
    job = replace(JOB, pipeline="tracking", model="", model_version="")
    assert wire.job_to_json(job)["model"] == ""
