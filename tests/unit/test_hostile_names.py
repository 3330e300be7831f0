"""Names and texts of others: shown without harm, sent without breaking the call."""

from __future__ import annotations

import asyncio
import io
import threading
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from segmented import kiosk_with, spots, tiff
from zarr_makers import zip_of

from kiosk import grpc_calls, service, wire
from kiosk._proto import kiosk_pb2 as pb
from kiosk.adapters.images.zip_directory import shown
from kiosk.callers import LOCAL
from kiosk.errors import LONGEST_MESSAGE_BYTES, InvalidRequest, Overloaded, TooLarge
from kiosk.image_paths import member_stems
from kiosk.jobs import plain_name, result_stem
from kiosk.progress_lines import ProgressLines
from kiosk.request import ReadOptions, SegmentationRequest

HOSTILE = ["\x1b[31mred.tif", "a\nb.tif", "\u202egnp.tif", "\u2066x", "\x85", "\ud800.tif", "\0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_cannot_steer_a_terminal(name: str) -> None:
    for text in (plain_name(name), shown(name)):
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl") for c in text)
        assert not set(text) & set("\u200e\u200f\u202e\u2066")
        assert text.encode()


@pytest.mark.parametrize("name", ["Zellkörper 漢字 😀 (1).tif", "a'b\"c`$(x);&.tif", "[/red]"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert plain_name(name) == name


@pytest.mark.parametrize(
    ("name", "stem"),
    [("CON.tif", "_CON"), ("aux.x.tif", "_aux.x"), ("com1", "_com1"), ("console.tif", "console")],
)
def test_names_of_devices_are_no_results(name: str, stem: str) -> None:
    assert result_stem(name) == stem
    assert result_stem(f"{stem}.tif") == stem


async def test_an_upload_and_a_member_have_plain_names() -> None:
    kiosk = kiosk_with()
    data = zip_of({"a\u202eb.tif": tiff(spots((40, 50)))})
    upload = await kiosk.upload(data, "x\r\ny.zip")
    assert (await kiosk.service.uploads.get(upload, caller=LOCAL)).file_name == "x__y.zip"
    (image,) = await kiosk.service.inspect(upload, caller=LOCAL)
    reading = ReadOptions(member=image.reading.member)
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", request=SegmentationRequest(reading=reading), caller=LOCAL
    )
    assert job.file_name == "a_b.tif"


@given(st.text(max_size=3000))
def test_messages_fit_into_a_header(text: str) -> None:
    error = InvalidRequest(f"There is no '{text}'. Choose another.", field="channel")
    assert len(error.message.encode()) <= LONGEST_MESSAGE_BYTES
    assert error.message.startswith("There is no '")
    assert error.message.endswith("Choose another.")
    assert len(wire.rpc_status(error).SerializeToString()) < 4000


def test_short_messages_stay_as_they_are() -> None:
    assert InvalidRequest("Ä 漢 😀.").message == "Ä 漢 😀."


def test_answers_that_are_too_long_for_grpc_get_a_sentence() -> None:
    grpc_calls.sendable(pb.InspectUploadResponse())
    images = [pb.Image(thumbnail=bytes(2_500_000))] * 2
    with pytest.raises(TooLarge, match="ask for less"):
        grpc_calls.sendable(pb.InspectUploadResponse(images=images))


def test_lines_show_names_as_they_are() -> None:
    out = io.StringIO()
    with ProgressLines(Console(file=out, width=200)) as lines:
        with lines.bar("[/red]\x1b[2J"):
            pass
        lines.say("red", "failed", "[/bold] \x1b[2J[red]x")
    assert out.getvalue() == "failed [/bold] _[2J[red]x\n"


def test_members_with_one_name_after_cutting() -> None:
    members = ["a/X.tif", "b/x.tif", *(f"{'y' * 200}{number}.tif" for number in range(300))]
    stems = member_stems(members)
    assert len({stem.casefold() for stem in stems.values()}) == len(members)
    assert max(len(stem) for stem in stems.values()) < 130


async def test_inspections_wait_for_each_other_and_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "OPEN_TIMEOUT_S", 0.05)
    release = threading.Event()

    def slow(*_: Any, **__: Any) -> list[Any]:
        release.wait(5)
        return []

    monkeypatch.setattr(service, "inspect_file", slow)
    kiosk = kiosk_with()
    upload = await kiosk.upload(tiff(spots((40, 50))))
    looks = [
        kiosk.service.inspect(upload, caller=LOCAL)
        for _ in range(service.INSPECTIONS_AT_A_TIME + 1)
    ]
    errors = await asyncio.gather(*looks, return_exceptions=True)
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    release.set()
    assert [type(error) for error in errors[:-1]] == [InvalidRequest] * (len(errors) - 1)
    assert isinstance(errors[-1], Overloaded)
    assert job.id
