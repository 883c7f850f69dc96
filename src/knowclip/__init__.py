"""knowclip: CLIP models that understand structure.

``load`` gives a model with ``encode_image``, ``encode_text`` and ``score(images, texts)``; ``parse`` turns
captions into scene graphs and ``negatives`` into false captions; ``train`` and ``evaluate`` do what the
commands of these names do. Importing this package loads neither torch nor spaCy nor open_clip.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"
__all__ = ["Index", "__version__", "evaluate", "load", "negatives", "parse", "read_captions", "train"]

_LAZY = {
    "Index": "knowclip.search.index",
    "evaluate": "knowclip.api.evaluate",
    "load": "knowclip.api.load",
    "negatives": "knowclip.knowledge.negatives.captions",
    "parse": "knowclip.knowledge.parsing.parsers",
    "read_captions": "knowclip.data.captions.read",
    "train": "knowclip.api.train",
}

if TYPE_CHECKING:
    from knowclip.api.evaluate import evaluate
    from knowclip.api.load import load
    from knowclip.api.train import train
    from knowclip.data.captions.read import read_captions
    from knowclip.knowledge.negatives.captions import negatives
    from knowclip.knowledge.parsing.parsers import parse
    from knowclip.search.index import Index


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'knowclip' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
