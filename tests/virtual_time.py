"""A queue on Redis whose clock is moved by the test."""

from __future__ import annotations

import re
from typing import Any

from kiosk.adapters.redis_queue import RedisQueue, script_sources


def at_virtual_time(queue: RedisQueue) -> None:
    """Let the scripts read a clock that the test moves: "<prefix>:test-clock", in ms."""
    inner: Any = queue
    virtual = 'local function raw_ms() return tonumber(redis.call("GET", P .. ":test-clock")) end\n'
    for name, source in script_sources().items():
        moved, replaced = re.subn(
            r"local function raw_ms\(\)\n.*?\nend\n", virtual, source, flags=re.DOTALL
        )
        assert replaced == 1
        inner._scripts[name] = inner._redis.register_script(moved)
