"""What stands beside people's data and is none of it: one idea of a junk file, for every reader."""

from __future__ import annotations

from pathlib import PurePath

_JUNK = frozenset(
    {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}
)


def is_junk(name: str | PurePath) -> bool:
    """Whether a file is the system's, not the user's: hidden, in a hidden folder, or a thumbnail index.

    ``._0001.jpg`` (macOS' second half of a file), ``.DS_Store``, ``Thumbs.db``, ``__MACOSX/0001.jpg`` and
    ``.ipynb_checkpoints/0001.jpg`` are junk; ``./0001.jpg`` and ``../0001.jpg`` are not.

    Args:
        name: relative to the folder or archive that is read: a data set may itself lie in a hidden folder.
    """
    parts = PurePath(name).parts
    return any(part.lower() in _JUNK or (part.startswith(".") and part not in (".", "..")) for part in parts)
