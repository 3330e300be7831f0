"""Who calls: from what a request brings along to a `Caller`. The shells share this step."""

from __future__ import annotations

from kiosk.callers import LOCAL, Caller


class Authentication:
    """Recognises callers."""

    async def caller(self, credentials: str, address: str) -> Caller:
        """The caller behind a request.

        Args:
            credentials: the value of its `authorization` header; "" = there was none.
            address: of the other end of the connection.
        """
        return LOCAL.at(address)
