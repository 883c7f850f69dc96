"""knowclip: CLIP models that understand structure.

``knowclip.load(name_or_path)`` gives a model with ``encode_image``, ``encode_text`` and
``score(images, texts)``. Importing this package loads neither torch nor spaCy nor open_clip.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Index", "__version__", "load", "parse", "read_captions"]

_LAZY = {
    "Index": "knowclip.search.index",
    "load": "knowclip.models.loading.load",
    "parse": "knowclip.knowledge.parsing.parsers",
    "read_captions": "knowclip.data.captions.read",
}

if TYPE_CHECKING:
    from knowclip.data.captions.read import read_captions
    from knowclip.knowledge.parsing.parsers import parse
    from knowclip.models.loading.load import load
    from knowclip.search.index import Index


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'knowclip' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
