"""A TCP connection that can be cut or can fall silent, as networks do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum


class Line(Enum):
    """How the line is."""

    WELL = 1
    CUT = 2  # connections break, new ones are refused
    SILENT = 3  # nothing is refused and nothing arrives


class Proxy:
    """Forwards to a port of this machine. Use it in an `async with` block."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._line = Line.WELL
        self._well = asyncio.Event()
        self._well.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._break()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def become(self, line: Line) -> None:
        self._line = line
        if line is Line.SILENT:
            self._well.clear()
        else:
            self._well.set()
        if line is Line.CUT:
            self._break()

    def turn_to(self, target_port: int) -> None:
        """New connections go there; those that there are stay."""
        self._target_port = target_port

    def _break(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._line is Line.CUT:
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
        both = asyncio.create_task(self._forward(reader, writer, there, back))
        self._tasks.add(both)
        both.add_done_callback(self._tasks.discard)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        pumps = [asyncio.create_task(self._pump(reader, back))]
        pumps.append(asyncio.create_task(self._pump(there, writer)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            writer.close()
            back.close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._well.wait()
                target.write(data)
                await target.drain()
