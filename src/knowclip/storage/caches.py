"""Where knowclip keeps what can be made again: one folder for every command and recipe."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

VARIABLE = "KNOWCLIP_CACHE"
"""The environment variable that names the folder."""
DEFAULT = "~/.cache/knowclip"


def named_folder() -> str:
    """The folder that the variable names, else the default; as it is written, made or not."""
    return os.environ.get(VARIABLE) or DEFAULT


def cache_folder(chosen: Path | None = None) -> Path:
    """The folder, made where it is not there: ``chosen``, else the variable's, else the default.

    Args:
        chosen: A recipe's ``data.cache_dir``.

    Raises:
        ValueError: It cannot be written to, as where the home folder is read-only; says what to set.
    """
    given = str(chosen or "") or named_folder()
    try:
        folder = Path(given).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # rights alone do not tell of read-only disks
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        reason = getattr(error, "strerror", None) or error
        way = "set data.cache_dir, or in place of it" if chosen else "set"
        raise ValueError(
            f"the cache folder {given} cannot be written to ({reason}): {way} the environment variable "
            f"{VARIABLE}, to a folder that can"
        ) from None
