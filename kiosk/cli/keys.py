"""Commands about API keys: `kiosk keys create`, `list`, `revoke`.

They ask Redis and no server, so that the first key can be made before there is one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from kiosk.api_keys import KEY_ID_LETTERS, ApiKey, new_api_key
from kiosk.callers import Scope
from kiosk.cli.here import settings_here
from kiosk.cli.terminal import app, console, id_column, plain, say
from kiosk.errors import TransientError

if TYPE_CHECKING:
    from kiosk.ports import KeyRing

T = TypeVar("T")

DAY_S = 24 * 3600.0

keys_app = typer.Typer(
    help="API keys: make, list and revoke them. To be run where the kiosk runs, or with"
    " KIOSK_QUEUE__REDIS_URL.",
    no_args_is_help=True,
)
app.add_typer(keys_app, name="keys")


@keys_app.command("create")
def keys_create(
    owner: Annotated[str, typer.Option(help="Whose uploads and jobs the key opens.")],
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What the key may do; may be repeated. Default: read and write."),
    ] = None,
    expires_days: Annotated[
        float, typer.Option(min=0, help="The key ends after so many days; 0 = never.")
    ] = 0.0,
    note: Annotated[str, typer.Option(help="What the key is for; shown by `list`.")] = "",
) -> None:
    """Make a key and print it, once: only a hash of it is kept.

    Example: `kiosk keys create --owner alice --expires-days 90 --note "microscope 2"`
    """
    now = time.time()
    key, token = new_api_key(
        owner,
        scope or (Scope.READ, Scope.WRITE),
        time_s=now,
        expire_time_s=now + expires_days * DAY_S if expires_days else 0.0,
        note=note,
    )
    _with_keys(lambda keys: keys.add(key))
    print(token)
    say(f"This is key {key.id} of {owner}. It is shown this once; give it as KIOSK_API_KEY.")


@keys_app.command("list")
def keys_list() -> None:
    """List all keys, without their secrets."""
    table = Table(
        id_column("key", KEY_ID_LETTERS),
        "owner",
        "scopes",
        "note",
        "created",
        "expires",
        "last used",
        "state",
    )
    for key in _with_keys(lambda keys: keys.list()):
        table.add_row(
            key.id,
            plain(key.owner),
            ", ".join(sorted(key.scopes)),
            plain(key.note),
            _day(key.create_time_s),
            _day(key.expire_time_s),
            _day(key.use_time_s),
            _state(key),
        )
    console.print(table)


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revoke a key: within seconds it opens nothing more."""
    key = _with_keys(lambda keys: keys.revoke(key_id, time.time()))
    console.print(f"Key {key.id} of {plain(key.owner)} is revoked.", highlight=False)


def _with_keys(question: Callable[[KeyRing], Awaitable[T]]) -> T:
    """Ask the keys of the kiosk that runs here, or of the Redis that the settings name."""
    from kiosk.bootstrap import make_keys

    async def work() -> T:
        keys = make_keys(settings_here())
        try:
            return await question(keys)
        except TransientError as error:
            raise TransientError(
                f"{error.message} Keys lie in the Redis of a running kiosk: start `kiosk up` first,"
                " or set KIOSK_QUEUE__REDIS_URL."
            ) from error
        finally:
            await keys.close()

    return asyncio.run(work())


def _state(key: ApiKey) -> str:
    if key.revoke_time_s:
        return "revoked"
    return "holds" if key.holds_at(time.time()) else "expired"


def _day(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}" if time_s else "-"
