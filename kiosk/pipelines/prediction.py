"""A plane through the network: tiles to Triton, several in flight, and their maps blended."""

from __future__ import annotations

import asyncio

import numpy as np

from kiosk.heads import HEADS, MapSpec
from kiosk.imaging.intensity import Limits, as_uint16
from kiosk.imaging.orientations import mean_map, turned, turned_back
from kiosk.imaging.scaling import resized, scaled_shape, whole_parts
from kiosk.imaging.tiling import Blender, Tile, cut_plane, read_tile
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.tensors import head_maps, model_inputs, without_channel_axis

Maps = dict[str, np.ndarray]


async def predicted_maps(
    context: JobContext, pixels: np.ndarray, limits: Limits, *, scale: float = 1.0, views: int = 1
) -> Maps:
    """The maps of the model's head at the size of the pixels.

    Args:
        pixels: (channel, y, x) of any real dtype.
        limits: grey values that become 0 and 1.
        scale: how much larger the network sees the pixels, see `kiosk.imaging.scaling`.
        views: orientations to average over.

    Returns:
        Map name -> (y, x) or (channel, y, x), of the dtype that the model gives.
    """
    shape = pixels.shape[1:]
    head = HEADS[context.card.head]
    pixels, limits = await asyncio.to_thread(_prepared, pixels, limits, scale)
    maps = await _tiled(context, pixels, limits, views)
    if scale != 1.0:
        maps = {
            spec.name: await asyncio.to_thread(_scaled_back, spec, maps[spec.name], shape, scale)
            for spec in head.maps
        }
    return without_channel_axis(head, maps)


def _prepared(pixels: np.ndarray, limits: Limits, scale: float) -> tuple[np.ndarray, Limits]:
    """uint16 pixels at the scale of the network; 8-bit values keep what lies between them."""
    if scale == 1.0:
        return as_uint16(pixels, limits)
    height, width = whole_parts(pixels.shape[1:])
    rim = ((0, 0), (0, height - pixels.shape[1]), (0, width - pixels.shape[2]))
    sized = np.empty((len(pixels), *scaled_shape((height, width), scale)), np.uint16)
    for number in range(len(pixels)):  # one at a time: real numbers are large
        channel = np.pad(pixels[number : number + 1].astype(np.float32), rim, mode="symmetric")
        sized[number], sized_limits = as_uint16(resized(channel, *sized.shape[1:])[0], limits)
    return sized, sized_limits


def _scaled_back(
    spec: MapSpec, maps: np.ndarray, shape: tuple[int, int], scale: float
) -> np.ndarray:
    if spec.is_length:
        maps = maps.astype(np.float32) / np.float32(scale)
    return resized(maps, *whole_parts(shape))[:, : shape[0], : shape[1]]


async def _tiled(context: JobContext, pixels: np.ndarray, limits: Limits, views: int) -> Maps:
    """(channel, y, x) maps of (channel, y, x) uint16 pixels."""
    card, job = context.card, context.job
    height, width = pixels.shape[1:]
    tiles = cut_plane(height, width, card.tile_px, card.halo_px, card.divisor_px)
    blenders: dict[str, Blender] = {}
    slots = asyncio.Semaphore(context.options.tiles_in_flight)

    async def predict(tile: Tile) -> None:
        seen: dict[str, list[np.ndarray]] = {}
        async with slots:
            image = read_tile(pixels, tile)
            for view in range(views):
                inputs = model_inputs(card, turned(image, view), limits)
                outputs = await context.inference.infer(job.model, job.model_version, inputs)
                for name, maps in head_maps(card, outputs).items():
                    seen.setdefault(name, []).append(turned_back(maps, view))
        for name, views_of_map in seen.items():
            maps = mean_map(views_of_map)
            if name not in blenders:
                blenders[name] = Blender(len(maps), tiles, maps.dtype)
            blenders[name].add(tile, maps)

    tasks = [asyncio.create_task(predict(tile)) for tile in tiles]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return {name: blender.maps() for name, blender in blenders.items()}
