"""The built page that is committed is the one that its sources make; no Node needed to tell."""

import hashlib
import re

from kiosk.settings import CHECKOUT

FRONTEND = CHECKOUT / "frontend"


def sources() -> list[str]:
    """Paths below `frontend`; the same choice and order as in its vite.config.ts."""
    found = ["index.html", "package-lock.json"]
    for path in (FRONTEND / "src").rglob("*"):
        if path.suffix in (".ts", ".tsx", ".css") and not re.search(r"\.test\.tsx?$", path.name):
            found.append(path.relative_to(FRONTEND).as_posix())
    return sorted(found)


def test_the_built_page_is_made_of_its_sources() -> None:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path}\0".encode() + (FRONTEND / path).read_bytes())
    noted = (FRONTEND / "dist" / "sources.sha256").read_text().strip()
    assert noted == digest.hexdigest(), "frontend/dist is older than frontend/src: run `make page`"


def test_the_built_page_needs_nothing_from_elsewhere() -> None:
    """Microscope computers are offline, and the content security policy allows nothing else."""
    index = (FRONTEND / "dist" / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', index)
    assert named
    for address in named:
        assert address.startswith(("/static/", "data:")), address
    assert "<style" not in index
    assert re.findall(r"<script(?![^>]* src=)", index) == []
