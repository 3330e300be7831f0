"""When a child is started again, and what is said about it."""

import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.errors import PermanentError
from kiosk.local import remove_shared_memory
from kiosk.local_redis import quoted, redis_password
from kiosk.processes import Child, ChildSpec, Supervisor, describe_exit, restart_delay_s, rotate


def spec(name: str, code: str, **options) -> ChildSpec:
    argv = [sys.executable, "-I", "-c", code]
    return ChildSpec(name=name, role=name, argv=argv, environment=dict(os.environ), **options)


def wait_until(condition, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_first_restarts_come_soon_and_later_ones_wait_longer():
    assert [restart_delay_s(n) for n in range(8)] == [0, 0.5, 1, 2, 4, 8, 10, 10]


@given(st.integers(0, 10**9))
def test_delay_grows_and_stays_within_its_limit(failures):
    delay_s = restart_delay_s(failures)
    assert math.isfinite(delay_s)
    assert 0 <= delay_s <= restart_delay_s(failures + 1) <= 10


def test_exit_is_described_in_words():
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-signal.SIGKILL) == "killed by SIGKILL"


def test_large_log_is_put_aside(tmp_path: Path):
    log = tmp_path / "triton.log"
    log.write_text("x" * 11)
    rotate(log, limit_bytes=11)
    assert log.exists()
    rotate(log, limit_bytes=10)
    assert not log.exists()
    assert (tmp_path / "triton.log.1").read_text() == "x" * 11


def test_child_that_ends_while_starting_is_reported_with_the_end_of_its_log(tmp_path: Path):
    child = Child(spec("redis", "print('no space left'); exit(4)", ready=lambda: False), tmp_path)
    with pytest.raises(PermanentError, match="redis ended while starting") as error:
        Supervisor([child], print).start()
    assert "exit code 4" in error.value.message
    assert "no space left" in error.value.message


def test_child_that_does_not_get_ready_is_reported(tmp_path: Path):
    never = spec("triton", "import time; time.sleep(60)", ready=lambda: False, ready_timeout_s=0.3)
    supervisor = Supervisor([Child(never, tmp_path)], print)
    try:
        with pytest.raises(PermanentError, match=r"triton was not ready within 0\.3 s"):
            supervisor.start()
    finally:
        supervisor.stop()


def test_missing_program_is_reported(tmp_path: Path):
    missing = ChildSpec(name="redis", role="redis", argv=["/no/such/program"], environment={})
    with pytest.raises(PermanentError, match="redis cannot be started"):
        Supervisor([Child(missing, tmp_path)], print).start()


def test_stop_kills_what_ignores_the_request_and_what_it_started(tmp_path: Path):
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "sleeper = subprocess.Popen([sys.executable, '-I', '-c', 'import time; time.sleep(60)'])\n"
        "print(sleeper.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = Child(spec("stubborn", code, grace_s=0.2), tmp_path)
    supervisor = Supervisor([child], print)
    assert supervisor.start()
    wait_until(lambda: child.log_tail().isdigit())
    grandchild = int(child.log_tail())
    supervisor.stop()
    assert child.pid is None
    assert child.last_exit == "killed by SIGKILL"
    wait_until(lambda: ended(grandchild))


def test_second_signal_stops_at_once(tmp_path: Path):
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(60)\n"
    )
    child = Child(spec("deaf", code, grace_s=60.0), tmp_path)
    supervisor = Supervisor([child], print)
    with supervisor.signals():
        assert supervisor.start()
        wait_until(lambda: child.log_tail() == "deaf")
        signal.raise_signal(signal.SIGINT)
        supervisor.run()  # returns: the first signal asks for an ordered stop
        again = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
        again.start()
        supervisor.stop()
        again.join()
    assert child.last_exit == "killed by SIGKILL"


def ended(pid: int) -> bool:
    """Gone, or waiting for a parent that will not come (in a container without an init)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_password_of_redis_outlives_a_restart(tmp_path: Path):
    file = tmp_path / "password"
    password = redis_password(file)
    assert len(password) > 30
    assert redis_password(file) == password
    assert file.stat().st_mode & 0o777 == 0o600


def test_folder_names_with_spaces_and_quotes_survive_redis_conf():
    assert quoted('/home/A "B" C') == '"/home/A \\"B\\" C"'


def test_only_our_own_shared_memory_is_removed(tmp_path: Path):
    for name in ("kiosk_aaa_1", "kiosk_bbb_1", "other"):
        (tmp_path / name).touch()
    remove_shared_memory("kiosk_aaa_", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kiosk_bbb_1", "other"]
