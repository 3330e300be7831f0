"""Share links: whoever has one sees one job and its results, until it ends or is withdrawn.

A link is a token that this kiosk has signed, with the job and the end in it; so a forged or expired
one costs no look-up. A record beside the results of its job says that it still holds: deleting the
record withdraws the link, deleting the job withdraws all of its links.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

from kiosk.access import job_of
from kiosk.callers import Caller, Scope
from kiosk.errors import InvalidRequest, NotFound, Unauthenticated
from kiosk.jobs import new_id
from kiosk.ports import JobQueue, KeyRing, ObjectStore
from kiosk.share import Share
from kiosk.signing import Signer, is_signed_as

SHARE = "share"
MOST_SHARES = 100


class Shares:
    """All share links of a kiosk.

    Args:
        longest_s: a link ends after so long at the latest.
        public_url: where people reach the page; "" = not known.
        clock: gives Unix seconds.
    """

    def __init__(
        self,
        *,
        queue: JobQueue,
        store: ObjectStore,
        keys: KeyRing,
        longest_s: float,
        public_url: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue, self._store, self._keys = queue, store, keys
        self._longest_s = longest_s
        self._public_url = public_url
        self._clock = clock
        self._signer: Signer | None = None

    async def create(
        self, job_id: str, expire_time_s: float, *, caller: Caller
    ) -> tuple[Share, str]:
        """A new link to a job, and its token, which is kept nowhere.

        Raises:
            NotFound: no such job of the caller's.
            InvalidRequest: it would end in the past, or later than links may; or there are many.
        """
        job = await job_of(self._queue, job_id, caller=caller, scope=Scope.WRITE)
        now = self._clock()
        if not now < expire_time_s <= now + self._longest_s:
            raise InvalidRequest(
                "A share link ends in the future, and after"
                f" {self._longest_s / 86400:g} days at the latest.",
                field="expire_time",
            )
        if len(await self._store.list(_prefix(job.id))) >= MOST_SHARES:
            raise InvalidRequest(
                f"The job has {MOST_SHARES} share links already. Withdraw one first.",
                reason="TOO_MANY_SHARES",
            )
        share = Share(
            id=new_id(),
            job_id=job.id,
            creator=caller.owner,
            create_time_s=now,
            expire_time_s=expire_time_s,
        )
        await self._store.put(_key(job.id, share.id), json.dumps(asdict(share)).encode())
        claims = {"sub": share.id, "job": job.id}
        return share, (await self._signing()).token(claims, expire_time_s)

    async def list(self, job_id: str, *, caller: Caller) -> list[Share]:
        """The links to a job that have not ended, the oldest first. Raises NotFound."""
        caller.require(Scope.READ)  # whoever came by a link sees no others
        job = await job_of(self._queue, job_id, caller=caller)
        found = []
        for key, _ in await self._store.list(_prefix(job.id)):
            share = Share(**json.loads(await self._store.get(key)))
            if share.expire_time_s > self._clock():
                found.append(share)
            else:
                await self._store.delete_prefix(key)
        return sorted(found, key=lambda share: (share.create_time_s, share.id))

    async def delete(self, job_id: str, share_id: str, *, caller: Caller) -> None:
        """Withdraw a link. Raises NotFound."""
        job = await job_of(self._queue, job_id, caller=caller, scope=Scope.WRITE)
        await self._record(job.id, share_id)
        await self._store.delete_prefix(_key(job.id, share_id))

    # ------------------------------------------------------------------ who comes by a link

    def url(self, token: str) -> str:
        """The link with a token: a whole address, or from the root of the page."""
        return f"{self._public_url}/s/{token}"

    def zarr_url(self, token: str) -> str:
        """Where other programs open the job: as `url`."""
        return f"{self._public_url}/open/{token}/image.ome.zarr"

    @staticmethod
    def is_token(token: str) -> bool:
        """Whether this may be the token of a link."""
        return is_signed_as(SHARE, token)

    async def caller(self, token: str) -> Caller:
        """Who comes by a link: may read one job. Raises Unauthenticated."""
        claims = (await self._signing()).claims(token)
        job_id, share_id = str(claims.get("job", "")), str(claims.get("sub", ""))
        await self.check(job_id, share_id)
        return Caller(
            owner="",
            scopes=frozenset({Scope.READ}),
            share_id=share_id,
            job_id=job_id,
            expire_time_s=float(claims["exp"]),
        )

    async def check(self, job_id: str, share_id: str) -> None:
        """Raises Unauthenticated for a link that was withdrawn."""
        try:
            await self._record(job_id, share_id)
        except NotFound:
            raise Unauthenticated("This share link was withdrawn, or its job is gone.") from None

    async def _record(self, job_id: str, share_id: str) -> Share:
        missing = NotFound(f"The job '{job_id}' has no share link '{share_id}'.")
        if not (job_id.isalnum() and share_id.isalnum()):
            raise missing
        try:
            return Share(**json.loads(await self._store.get(_key(job_id, share_id))))
        except NotFound:
            raise missing from None

    async def _signing(self) -> Signer:
        if self._signer is None:
            self._signer = Signer(SHARE, await self._keys.signing_secret())
        return self._signer


def _prefix(job_id: str) -> str:
    return f"jobs/{job_id}/shares/"


def _key(job_id: str, share_id: str) -> str:
    return f"{_prefix(job_id)}{share_id}.json"
