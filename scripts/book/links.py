"""From pages of the repository to pages of the site: where each goes, and links that lead there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "overview.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
    "NOTICE.md": "notice.md", "SECURITY.md": "security.md", "findings/README.md": "findings/index.md",
}  # fmt: skip
"""Pages of the repository outside docs/ -> their place on the site."""
ALIASES = {"findings": "findings/index.md"}
FILES = ("LICENSE", "CITATION.cff", "findings/*.sh", "examples/*", "examples/**/*.*")
"""Patterns of what else pages link to: shown as code, since the site has no files but its own."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2`*[ ]*$", re.DOTALL | re.MULTILINE)


def pages() -> dict[str, str]:
    """Every page and figure by its path in the repository -> its path on the site."""
    found = dict(OUTSIDE)
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.is_file() and path.suffix in (".md", ".png", ".svg"):
            found[path.relative_to(ROOT).as_posix()] = path.relative_to(ROOT / "docs").as_posix()
    return found


def moved(text: str, source: str, places: dict[str, str]) -> str:
    """A page's text with every relative link, and every picture, leading to the target's place on the site.

    Args:
        text: of the page.
        source: its path in the repository.
        places: as :func:`pages` gives them.

    Raises:
        ValueError: A link or picture leads to nothing, or to a file that the site has no place for.
    """

    def one(match: re.Match[str]) -> str:
        picture, shown, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        file, hash_, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), file))
        path = ALIASES.get(path, path)
        place = places.get(path, path if path in places.values() else None)
        if place is None:
            if picture:
                raise ValueError(f"{source} shows {target}: {path} is no picture of the site")
            if not any(
                path == p.relative_to(ROOT).as_posix() for pattern in FILES for p in ROOT.glob(pattern)
            ):
                raise ValueError(f"{source} links to {target}: {path} is no page of the site")
            return shown if shown.startswith("`") else f"{shown} (`{path}`)"
        relative = posixpath.relpath(place, posixpath.dirname(places[source]) or ".")
        return f"{picture}[{shown}]({relative}{hash_}{anchor})"

    return "".join(part if fenced else _LINK.sub(one, part) for part, fenced in _split(text))


def _split(text: str) -> Iterator[tuple[str, bool]]:
    """The text in pieces, and of each whether it is a fenced block."""
    end = 0
    for match in _FENCE.finditer(text):
        yield text[end : match.start()], False
        yield match[0], True
        end = match.end()
    yield text[end:], False


def refuse_lost_pictures(site: Path) -> None:
    """Refuse a site a page of which shows a picture that is not there: its own check knows links alone.

    Args:
        site: Folder that it was built into.

    Raises:
        ValueError: Naming page and picture.
    """
    for page in sorted(site.rglob("*.html")):
        for source in re.findall(r"<img\b[^>]*?\bsrc=\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            path = unquote(source.partition("#")[0].partition("?")[0])
            place = site / path.lstrip("/") if path.startswith("/") else page.parent / path
            if not re.match(r"[a-z]+:|//", path) and not place.is_file():
                raise ValueError(f"{page} shows {source}, which is not there")
