"""How buckets are opened: by what the environment says of them, patient with outages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from obstore.store import from_url


def open_bucket(url: str, retry_s: float) -> Any:
    """A store of obstore at `s3://bucket/prefix` or `gs://bucket/prefix`.

    Args:
        retry_s: for so long a request is sent again before the bucket counts as away.
    """
    again = {"max_retries": 100, "retry_timeout": timedelta(seconds=retry_s)}
    # No client options beside it: they would replace those of the environment.
    return from_url(cast(Any, url), retry_config=cast(Any, again))
