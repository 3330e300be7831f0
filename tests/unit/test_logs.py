"""Log lines as JSON: one object each, with the job that they are about."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pytest
from image_makers import tiff

from kiosk import logs
from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.settings import LimitSettings
from kiosk.testing import make_kiosk


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, str]]]:
    """Every line that is logged, as whoever collects them reads it."""
    found: list[dict[str, str]] = []

    class Collecting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = self.format(record)
            assert "\n" not in text
            found.append(json.loads(text))

    handler = Collecting()
    handler.setFormatter(logs.JsonLines("consumer"))
    logging.getLogger().addHandler(handler)
    with caplog.at_level(logging.INFO):
        yield found
    logging.getLogger().removeHandler(handler)


def test_a_line_is_an_object(lines: list[dict[str, str]]) -> None:
    logging.getLogger("kiosk.x").warning("took %d s", 3)
    (line,) = lines
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "WARNING",
        "logger": "kiosk.x",
        "message": "took 3 s",
        "role": "consumer",
    }


def test_an_exception_is_in_its_line(lines: list[dict[str, str]]) -> None:
    try:
        raise ValueError("no\nsuch thing")
    except ValueError:
        logging.getLogger("kiosk.x").exception("it failed")
    assert "ValueError: no\nsuch thing" in lines[0]["exception"]


def test_lines_within_a_job_have_its_id_and_others_none(lines: list[dict[str, str]]) -> None:
    log = logging.getLogger("kiosk.x")
    with logs.about_job("abc"):
        log.info("within")
        logs.note_job("def")
        log.info("of another")
    log.info("after")
    assert [line.get("job_id") for line in lines] == ["abc", "def", None]


async def test_a_consumer_says_which_job_it_is(lines: list[dict[str, str]]) -> None:
    kiosk = make_kiosk(ImageFileReader(LimitSettings()))
    kiosk.inference.failures = [RuntimeError("broken")]
    image = np.zeros((64, 64), np.uint16)
    image[10:30, 10:30] = 1000
    upload = await kiosk.upload(tiff(image))
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    logs.note_job("")  # what was called here goes on here, as a call to the server does not
    await kiosk.work()
    logging.getLogger("kiosk.x").info("after")
    (told, *_, after) = [line for line in lines if line["logger"].startswith("kiosk")]
    assert told["job_id"] == job.id
    assert "RuntimeError: broken" in told["exception"]
    assert "job_id" not in after


def test_the_time_is_as_in_rfc_3339() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "m", None, None)
    record.created = 1_700_000_000.25
    line = json.loads(logs.JsonLines("").format(record))
    assert line["time"] == "2023-11-14T22:13:20.250Z"
