"""A worker of arq, see peers.py."""

from __future__ import annotations

import asyncio

from peers import arq_settings

if __name__ == "__main__":
    from arq.worker import Worker

    asyncio.set_event_loop(asyncio.new_event_loop())
    Worker(**arq_settings()).run()
