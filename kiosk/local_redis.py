"""The Redis of `kiosk up`: on loopback, with one user who may do what the kiosk does."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import redis

from kiosk.machine import write_private
from kiosk.processes import ChildSpec
from kiosk.settings import Settings, child_environment

USER = "kiosk"
# Names of keys and channels begin so, see adapters/lua/_common.lua.
PREFIX = "{kiosk}:"
# What the kiosk uses: data, scripts, messages, transactions. Neither what stops or changes the
# server or sees all of it (admin, dangerous), besides INFO for its memory, nor other keys.
COMMANDS = (
    "-@all +@read +@write +@string +@hash +@list +@set +@sortedset +@stream +@pubsub +@scripting"
    " +@connection +@transaction +@blocking -@admin -@dangerous +info +time"
)

# Nobody can be the default user, who is off and has no password. It keeps its rights all the same:
# Redis 7.0 reads its append-only file as that user, and skips every transaction without them.
NOBODY = "user default off resetpass ~* &* +@all"


def redis_url(port: int, password: str) -> str:
    return f"redis://{USER}:{password}@127.0.0.1:{port}/0"


def redis_password(file: Path) -> str:
    """The password of this home's Redis, made up at the first start."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
    return file.read_text().strip()


def redis_conf(folder: Path, port: int, password: str, most_bytes: int) -> str:
    """redis.conf: an append-only file, so at most the last second is lost when the power goes."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        NOBODY,
        f"user {USER} on #{digest} ~{PREFIX}* resetchannels &{PREFIX}* {COMMANDS}",
        "daemonize no",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        f"maxmemory {most_bytes}",
        "maxmemory-policy noeviction",  # a queue that forgets is none
        f"dir {quoted(str(folder))}",
    ]
    return "\n".join(lines) + "\n"


def redis_spec(settings: Settings, port: int, password: str, binary: Path) -> ChildSpec:
    """Redis as a child process."""
    folder = settings.home.absolute() / "redis"
    file = folder / "redis.conf"
    write_private(file, redis_conf(folder, port, password, settings.local.redis_bytes))

    def ready() -> bool:
        try:
            url = redis_url(port, password)
            with redis.Redis.from_url(url, socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return ChildSpec(
        name="redis",
        role="redis",
        argv=[str(binary), str(file)],
        environment=child_environment(settings),
        cwd=folder,
        ready=ready,
    )


def quoted(text: str) -> str:
    """A string as redis.conf wants it: a home folder may have spaces in its name."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
