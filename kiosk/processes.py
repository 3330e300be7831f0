"""Supervised child processes: starting, watching, restarting and stopping them in order."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from kiosk.errors import PermanentError

PR_SET_PDEATHSIG = 1
LOG_LIMIT_BYTES = 10 * 1024 * 1024
POLL_S = 0.1
STABLE_S = 60.0
"""A child that ran this long starts again with a clean record."""

Say = Callable[[str], None]

# Loaded here, not between fork and exec, where nothing but system calls is safe.
_LIBC = ctypes.CDLL(None, use_errno=True)


def restart_delay_s(failures: int, first_s: float = 0.5, longest_s: float = 10.0) -> float:
    """Wait before a child is started again: doubles with each failure in a row, up to a limit.

    The limit is low, because a consumer that images have killed is needed for those that do not.
    """
    if failures < 1:
        return 0.0
    return min(longest_s, first_s * 2.0 ** min(failures - 1, 62))


def always_ready() -> bool:
    return True


def nothing_to_prepare() -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """What to run and how to treat it.

    Attributes:
        name: shown to the user and name of the log file.
        role: neighbours of the same role are stopped together.
        ready: says whether it can be used; asked until it is.
        prepare: called before every start.
        grace_s: from the request to stop until it is killed.
    """

    name: str
    role: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path | None = None
    ready: Callable[[], bool] = always_ready
    ready_timeout_s: float = 60.0
    prepare: Callable[[], None] = nothing_to_prepare
    grace_s: float = 10.0


class Child:
    """A process of its own session, so that it and all it starts can be ended together."""

    def __init__(
        self, spec: ChildSpec, log_folder: Path, inherited_fds: Sequence[int] = ()
    ) -> None:
        self.spec = spec
        self.log = log_folder / f"{spec.name}.log"
        self.failures = 0
        self.started_at = 0.0
        self.restart_at = 0.0
        self.last_exit = ""
        self._inherited_fds = tuple(inherited_fds)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; its output is appended to the log. Raises OSError.

        The kernel sends it SIGTERM when this process dies, however that happens. It does so when
        the *thread* that started it ends, so call this from the main thread.
        """
        self.spec.prepare()
        self.started_at = time.monotonic()
        supervisor = os.getpid()

        def die_with_supervisor() -> None:
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != supervisor:  # it died before the line above
                os._exit(1)

        rotate(self.log)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                list(self.spec.argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.spec.environment),
                cwd=self.spec.cwd,
                start_new_session=True,
                preexec_fn=die_with_supervisor,  # noqa: PLW1509 (one system call)
                pass_fds=self._inherited_fds,
            )
        finally:
            os.close(log)

    def has_ended(self) -> bool:
        """Whether it is gone; the first True also ends whatever it left in its session.

        The process is looked at without being reaped first: until then its id, which is also
        the id of its group, cannot belong to anybody else.
        """
        if self._process is None:
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if os.waitid(os.P_PID, self._process.pid, options) is None:
            return False
        self.kill()
        self.last_exit = describe_exit(self._process.wait())
        self._process = None
        return True

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and everything in its session at once."""
        if self._process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def log_tail(self, lines: int = 5) -> str:
        try:
            text = self.log.read_bytes()[-8192:].decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])


def describe_exit(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def rotate(log: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Put a large log aside; one older generation is kept."""
    if log.exists() and log.stat().st_size > limit_bytes:
        log.replace(log.with_suffix(".log.1"))


class Supervisor:
    """Starts, watches and stops children, in order."""

    def __init__(self, children: Sequence[Child], say: Say) -> None:
        self.children = children
        self._say = say
        self._stopping = threading.Event()
        self._started: list[Child] = []

    @contextmanager
    def signals(self) -> Iterator[None]:
        """The first signal stops in order, the second at once."""

        def handle(_number: int, _frame: FrameType | None) -> None:
            if self._stopping.is_set():
                for child in self.children:
                    child.kill()
            self._stopping.set()

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def start(self) -> bool:
        """Start every child when the one before it is ready; False when stopped meanwhile.

        Raises PermanentError when one ends or does not get ready in time.
        """
        for child in self.children:
            self._say(f"Starting {child.spec.name}")
            try:
                child.start()
            except OSError as error:
                raise PermanentError(f"{child.spec.name} cannot be started: {error}.") from error
            self._wait_until_ready(child)
            if self._stopping.is_set():
                return False
            self._started.append(child)
        return True

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + child.spec.ready_timeout_s
        while not self._stopping.wait(POLL_S):
            if child.has_ended():
                raise self._failed(child, f"ended while starting ({child.last_exit})")
            if child.spec.ready():
                return
            if time.monotonic() > deadline:
                raise self._failed(child, f"was not ready within {child.spec.ready_timeout_s:g} s")
            self._tend()

    @staticmethod
    def _failed(child: Child, what: str) -> PermanentError:
        return PermanentError(
            f"{child.spec.name} {what}. Its log, {child.log}, ends with:\n{child.log_tail()}"
        )

    def run(self) -> None:
        """Watch until a signal comes."""
        while not self._stopping.wait(POLL_S):
            self._tend()

    def _tend(self) -> None:
        """Look after the children that were ready once."""
        for child in self._started:
            now = time.monotonic()
            if child.pid is not None:
                if child.has_ended():
                    self._mourn(child, now, child.last_exit)
            elif now >= child.restart_at:
                try:
                    child.start()
                except OSError as error:
                    self._mourn(child, now, str(error))

    def _mourn(self, child: Child, now: float, why: str) -> None:
        child.failures = 1 if now - child.started_at > STABLE_S else child.failures + 1
        delay_s = restart_delay_s(child.failures)
        child.restart_at = now + delay_s
        self._say(
            f"{child.spec.name} stopped ({why}); starting it again in {delay_s:g} s."
            f" Log: {child.log}"
        )

    def stop(self) -> None:
        """Stop in reverse order: ask, wait, kill. Neighbours of one role stop together."""
        self._stopping.set()
        alive = [child for child in reversed(self.children) if not child.has_ended()]
        if alive:
            self._say("Stopping (Ctrl-C again to stop at once)")
        for _, group in itertools.groupby(alive, key=lambda child: child.spec.role):
            children = list(group)
            for child in children:
                child.terminate()
            deadline = time.monotonic() + max(child.spec.grace_s for child in children)
            while time.monotonic() < deadline and not all(c.has_ended() for c in children):
                time.sleep(POLL_S)
            for child in children:
                child.kill()
            while not all(child.has_ended() for child in children):
                time.sleep(POLL_S)
