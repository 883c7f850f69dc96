"""Section ``data`` -> the cache of its images, and which of them cannot be read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from knowclip.build.pairs import Pairs
from knowclip.console.progress import Stages
from knowclip.data.images.cache import ImageCache, PixelCache, TrunkCache
from knowclip.data.images.readable import refuse_many, unreadable_images
from knowclip.models.clip import DualEncoder
from knowclip.models.towers import image_trunk
from knowclip.recipe.data import DataConfig
from knowclip.storage.caches import cache_folder
from knowclip.types import ImageRef


def build_cache(
    config: DataConfig,
    model: DualEncoder,
    pairs: Pairs,
    *,
    measured: Iterable[ImageRef] = (),
    progress: Stages | None = None,
) -> ImageCache | None:
    """Make or open the image cache the recipe asks for, of the pairs' images and of those ``measured``."""
    refs = dict.fromkeys(example.image for example in (*pairs.train, *pairs.val))
    others = [ref for ref in dict.fromkeys(measured) if ref not in refs]
    common = {
        "preprocess": model.preprocess,
        "folder": cache_folder(config.cache_dir),
        "tolerated": config.max_unreadable,
        "of": pairs.images + len(others),
        "progress": progress and partial(progress, "reading images"),
    }
    wanted = [*refs, *others]
    if config.cache == "pixels":
        return PixelCache.build(wanted, **common)
    if config.cache == "trunk":
        module = image_trunk(model.model.visual)
        return TrunkCache.build(wanted, trunk=model.trunk_features, module=module, **common)
    return None


def unreadable(
    config: DataConfig, pairs: Pairs, cache: ImageCache | None, *, progress: Stages | None = None
) -> dict[ImageRef, str]:
    """Images that cannot be read, and why: those the cache met, or without one those of validation.

    Training without a cache meets its own on the way; validation would have to begin again.

    Raises:
        ValueError: They are too many.
    """
    if cache is not None:
        return cache.unreadable
    images = {example.image for example in pairs.val}
    told = progress and partial(progress, "checking the validation images")
    found = unreadable_images([example.image for example in pairs.val], progress=told)
    limits = {"tolerated": config.max_unreadable, "of": pairs.images}
    refuse_many([*found.values()], len(images), what="validation images", **limits)
    return found
