"""What is left of a kiosk after everything in it was deleted: it should be nothing."""

from __future__ import annotations

from pathlib import Path

import redis
from pydantic import SecretStr

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client import AsyncKiosk
from kiosk.connection import Connection
from kiosk.errors import KioskError, NotFound
from tests.chaos.victim import Victim

# Keys of a kiosk that has no jobs.
OF_AN_EMPTY_KIOSK = {f"{{kiosk}}:{name}" for name in ("backlog", "clock", "pace", "schema", "turn")}


async def delete_everything(server: str, home: Path) -> list[str]:
    """Delete all jobs and uploads by the API; what could not be deleted, and why.

    A caller that never got the answer to its upload does not know the name of it, and the kiosk
    keeps it until it expires; it is taken from the object store here.
    """
    problems = []
    async with AsyncKiosk(server) as client:
        for job in await client.jobs(10_000):
            try:
                await client.delete(job.name)
            except KioskError as error:
                problems.append(f"{job.name}: {error.message}")
    connection = Connection(server, api_key=SecretStr(""), ca_file=None)
    for folder in (home / "objects" / "uploads").glob("*"):
        try:
            request = pb.DeleteUploadRequest(name=f"uploads/{folder.name}")
            await connection.call("DeleteUpload", request)
        except NotFound:
            problems.append(f"There is something of no upload: {folder}")
        except KioskError as error:
            problems.append(f"{folder.name}: {error.message}")
    await connection.close()
    return problems


def files_left(victim: Victim) -> list[str]:
    """Files in the object store, in the folder of temporary files and in shared memory."""
    folders = (victim.home / "objects", victim.scratch)
    found = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    return found + [str(path) for path in victim.scratch.glob("*") if path.is_dir()]


def keys_left(redis_url: str) -> list[str]:
    """Keys of Redis that an empty kiosk does not have."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return sorted(set(client.scan_iter(count=1000)) - OF_AN_EMPTY_KIOSK)
