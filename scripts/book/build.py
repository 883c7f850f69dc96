"""Build the documentation site: ``python scripts/book/build.py``, or ``make docs``; into ``site/``.

Pages are written by hand in ``docs/``. Where one says ``<!-- generated: command parse -->``, what the code
says is put: usage and options of a command, keys of a recipe, caches, environment variables. Links that leave
``docs/`` are led to the page's place on the site. Then Zensical builds it strictly: a link, an anchor or a
picture that leads nowhere ends it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable

import environment
import links
import recipe_keys

import commands

OUT = links.ROOT / "build" / "docs"
GENERATED: dict[str, Callable[[str], str]] = {
    "command": commands.command,
    "commands": commands.groups,
    "keys": recipe_keys.keys,
    "shipped": recipe_keys.shipped,
    "caches": environment.caches,
    "variables": environment.variables,
}
"""What a page can ask for -> what writes it, given the word behind it."""
MARKER = re.compile(r"^<!-- generated: (\w+) ?(.*?) -->$", re.MULTILINE)


def page(source: str, places: dict[str, str]) -> str:
    """A page of the site: its text, what is generated put in, links led to where things are.

    Args:
        source: its path in the repository.
        places: as :func:`links.pages` gives them.

    Raises:
        ValueError: It asks for what nothing writes, or a link or picture leads nowhere.
    """
    text = (links.ROOT / source).read_text(encoding="utf-8")

    def put(match: re.Match[str]) -> str:
        what, of = match.groups()
        if what not in GENERATED:
            raise ValueError(f"{source} asks for {what!r}; what can be generated: {', '.join(GENERATED)}")
        return GENERATED[what](of)

    return links.moved(MARKER.sub(put, text), source, places)


def write() -> None:
    """Write every page and figure of the site below ``build/docs``."""
    shutil.rmtree(OUT, ignore_errors=True)
    places = links.pages()
    for source, place in places.items():
        (OUT / place).parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            (OUT / place).write_text(page(source, places), encoding="utf-8")
        else:
            shutil.copyfile(links.ROOT / source, OUT / place)


def main() -> int:
    """Write the pages, build the site, look whether its pictures are there."""
    write()
    build = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    if code := subprocess.run(build, cwd=links.ROOT).returncode:
        return code
    links.refuse_lost_pictures(links.ROOT / "site")
    return 0


if __name__ == "__main__":
    sys.exit(main())
