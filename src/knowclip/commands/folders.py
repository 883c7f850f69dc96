"""Where commands keep what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$KNOWCLIP_CACHE``, else ``~/.cache/knowclip``."""
    return Path(os.environ.get("KNOWCLIP_CACHE") or "~/.cache/knowclip").expanduser()
