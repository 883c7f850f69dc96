"""What transformers says while it fills a tower, kept out of the output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Without its bar, full within a second, and its report of weights that a tower has no place for.

    A pooling layer is left out on purpose; weights that are missing are an error of the loaders here.
    """
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    bars, downloads = logging.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    level = logging.get_verbosity()
    logging.set_verbosity(max(level, logging.ERROR))
    logging.disable_progress_bar()
    if downloads:  # transformers switches the hub's own bars too, and a download lasts
        hub.enable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
        if not downloads:
            hub.disable_progress_bars()
