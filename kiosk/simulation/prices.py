"""What a GPU gets done and what it costs, from a file that people edit."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kiosk.errors import InvalidRequest

SHIPPED = Path(__file__).with_name("prices.toml")
"""Examples, to be copied; part of the package, so that they are wherever the kiosk is."""


class Prices(BaseModel):
    """One table of the file; that of `SHIPPED` says where its numbers come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    megapixels_per_gpu_s: float = Field(gt=0)
    consumers_per_gpu: int = Field(ge=1)
    dollars_per_gpu_node_h: float = Field(ge=0)
    dollars_per_consumer_h: float = Field(ge=0)
    megabytes_per_megapixel: float = Field(0.0, ge=0)
    dollars_per_gb_between_zones: float = Field(0.0, ge=0)
    other_dollars_per_million_megapixels: float = Field(0.0, ge=0)

    @property
    def megapixels_per_consumer_s(self) -> float:
        """A consumer's share of the GPU that it keeps busy with others."""
        return self.megapixels_per_gpu_s / self.consumers_per_gpu

    def dollars(
        self,
        *,
        gpu_node_s: float,
        consumer_s: float,
        megapixels: float = 0.0,
        between_zones_ratio: float = 0.0,
    ) -> float:
        """The bill. `between_zones_ratio`: share of the tensors that cross from zone to zone."""
        gigabytes = megapixels * self.megabytes_per_megapixel / 1000 * between_zones_ratio
        return (
            gpu_node_s / 3600 * self.dollars_per_gpu_node_h
            + consumer_s / 3600 * self.dollars_per_consumer_h
            + gigabytes * self.dollars_per_gb_between_zones
            + megapixels / 1e6 * self.other_dollars_per_million_megapixels
        )


def read_prices(path: Path, table: str) -> Prices:
    """A table of a price file.

    Raises:
        InvalidRequest: no such file or table, or a number that is missing or no price.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"'{path}' is not a TOML file: {error}.") from error
    if table not in tables:
        raise InvalidRequest(f"'{path}' has no table '{table}', only: {', '.join(tables)}.")
    try:
        return Prices.model_validate(tables[table])
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise InvalidRequest(f"'{path}', [{table}]: {faults}.") from error
