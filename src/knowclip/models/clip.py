"""DualEncoder: an open_clip model with its configuration, preprocessing and tokenizer.

Shape legend: B batch, L text tokens, N image tokens, D embedding width, W tower width or image width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
from open_clip import CLIP, CustomTextCLIP
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import Normalize

from knowclip.models import layers, text_length, towers
from knowclip.models.adapters import Adapters, merged_weights
from knowclip.models.images import batches, each_image, each_text, open_image
from knowclip.models.modes import evaluating
from knowclip.models.text_trunk import TextTrunk
from knowclip.models.tokenizers import Tokenizer

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float, Int, UInt8
    from torch import Tensor

    from knowclip.models.images import ImageInput

    Images = Float[Tensor, "B 3 H W"] | ImageInput | Iterable[ImageInput]
    Texts = Int[Tensor, "B L"] | str | Iterable[str]

BATCH = 256
"""Images or texts a forward pass, where they come as files and strings; tensors pass as they are."""


class TextEncoder(Protocol):
    """A model as it reads texts with their triples; ``models.with_knowledge.WithKnowledge`` is one."""

    model: DualEncoder

    def encode_text(self, texts: str | Iterable[str], *, normalize: bool = False) -> Float[Tensor, "B D"]:
        """Embed texts."""


class DualEncoder(nn.Module):
    """An image and a text tower that embed into one space.

    Args:
        model: The open_clip model, with ``visual.preprocess_cfg`` set (as open_clip's factory does).
        config: open_clip's ``model_cfg``, with ``quick_gelu`` as the model really is.
        tokenizer: open_clip's tokenizer: texts to ids of full context length.

    Raises:
        ValueError: If ``model`` is no two-tower model.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        config: dict[str, Any],
        tokenizer: Tokenizer,
    ) -> None:
        super().__init__()
        if not isinstance(model, CLIP | CustomTextCLIP):
            raise ValueError(
                f"DualEncoder wraps open_clip's CLIP and CustomTextCLIP, got {type(model).__name__}: "
                "models with a decoder (CoCa) are not supported"
            )
        self.model = model
        self.config = config
        self.tokenizer = tokenizer
        self.preprocess: Callable[[Image.Image], Float[Tensor, "3 H W"]] = image_transform_v2(
            PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
        )
        self._trunk_locked = False
        self._text_locked = False
        self._trunk_dropout = 0.0
        self._batch_norm_frozen = False
        self.text_trunk: TextTrunk | None = None
        self.adapters: Adapters | None = None
        self.loaded_from: str | None = None
        """What ``knowclip.load`` was given: of a run it tells what the model was trained on."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As of any module, but of the tokenizer: nothing changes it, and its merges are half a million."""
        memo[id(self.tokenizer)] = self.tokenizer
        copied = memo[id(self)] = type(self).__new__(type(self))
        copied.__setstate__(deepcopy(vars(self), memo))
        return copied

    @property
    def logit_scale(self) -> nn.Parameter:
        """The logarithm of the inverse temperature, a parameter."""
        return self.model.logit_scale

    @property
    def logit_bias(self) -> nn.Parameter | None:
        """The bias of the sigmoid loss, a parameter; None for softmax models."""
        return self.model.logit_bias

    @property
    def embed_dim(self) -> int:
        """D, the width of both towers' embeddings."""
        return self.config["embed_dim"]

    @property
    def context_length(self) -> int:
        """L, the number of tokens beyond which a text is truncated."""
        return self.config["text_cfg"].get("context_length", DEFAULT_CONTEXT_LENGTH)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of preprocessed images in pixels."""
        size = self.model.visual.image_size
        return (size, size) if isinstance(size, int) else tuple(size)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.logit_scale.device

    def with_knowledge(self) -> TextEncoder | None:
        """The model as it reads texts with their triples, where it was loaded with a KEE; else None."""
        return None

    def encode_image(self, images: Images, *, normalize: bool = False) -> Float[Tensor, "B D"]:
        """Embed images.

        Not normalised by default: dot products of such embeddings do not rank. ``score`` gives cosines.

        Args:
            images: One, or any number (a list, an array [B, H, W, 3], a generator), of paths, regions
                (``ImageRef``), PIL images and uint8 arrays [H, W, 3]; or a tensor of preprocessed pixels.
            normalize: Whether embeddings get length 1.

        Raises:
            ValueError: Naming the file, if an image cannot be read; if a tensor or array has another shape
                or type; if there is no image.
        """
        if isinstance(images, torch.Tensor):
            features = self.model.visual(self._pixels(images))
        else:
            parts = batches(each_image(images), BATCH, "image")
            features = torch.cat([self.model.visual(self._pixels(part)) for part in parts])
        return F.normalize(features, dim=-1) if normalize else features

    def encode_text(self, texts: Texts, *, normalize: bool = False) -> Float[Tensor, "B D"]:
        """Embed one text or any number, or token ids as ``tokenize`` or ``tokenizer`` give them.

        The text tower's own output, never with a KEE (``with_knowledge`` has that); not normalised by
        default.

        Raises:
            ValueError: There is no text, or something is none.
        """
        if isinstance(texts, torch.Tensor):
            features = self._encoded(texts).pooled
        else:
            parts = (self._ids(part) for part in batches(each_text(texts), BATCH, "text"))
            features = torch.cat([self._encoded(ids).pooled for ids in parts])
        return F.normalize(features, dim=-1) if normalize else features

    def encode_image_tokens(self, images: Images) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N W"]]:
        """Return ``encode_image(images)`` and the spatial tokens it pools, of the tower's own width."""
        return towers.image_tokens(self.model.visual, self._pixels(images))

    def encode_text_tokens(
        self, texts: Texts
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B L W"], Bool[Tensor, "B L"]]:
        """Return ``encode_text(texts)``, the tokens of the tower's own width, and which are no padding."""
        pooled, tokens, mask = self._encoded(self._ids(texts))
        return pooled, tokens, mask

    def tokenize(self, texts: str | Iterable[str]) -> Int[Tensor, "B L"]:
        """Turn texts into ids, cut to the longest text of the batch where that changes no embedding.

        Raises:
            ValueError: If there is no text, or something else.
        """
        texts = list(each_text(texts))
        if not texts:
            raise ValueError("got no text to encode")
        if strange := [(number, text) for number, text in enumerate(texts) if not isinstance(text, str)]:
            number, text = strange[0]
            raise ValueError(f"texts are strings, got {type(text).__name__} {text!r} at index {number}")
        return self.text_reader(texts)

    @property
    def text_reader(self) -> text_length.TextReader:
        """What ``tokenize`` does, apart from the weights: for processes that load data."""
        return text_length.TextReader(self.tokenizer, text_length.LengthRule.of(self.model))

    def normalize(self, pixels: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        """Finish the preprocess of images that were resized and cropped, and kept as bytes.

        Raises:
            ValueError: The preprocess does not end in a Normalize.
        """
        step = getattr(self.preprocess, "transforms", [None])[-1]
        if not isinstance(step, Normalize):
            raise ValueError(
                f"the preprocess ends in {type(step).__name__}, not in Normalize: bytes cannot be finished"
            )
        return step(pixels.float().div_(255))

    def trunk_features(self, images: Images) -> Float[Tensor, "B ..."]:
        """Run the image trunk alone: timm's trunk (features before open_clip's head), or the whole tower.

        ``encode_image(x) == encode_trunk(trunk_features(x))``. To cache the result, lock the trunk first.
        """
        return towers.image_trunk(self.model.visual)(self._pixels(images))

    def encode_trunk(
        self, trunk_features: Float[Tensor, "B ..."], *, normalize: bool = False
    ) -> Float[Tensor, "B D"]:
        """Embed the images of these ``trunk_features``, in training with the dropout of the locked trunk."""
        trunk_features = F.dropout(trunk_features, self._trunk_dropout, training=self.training)
        features = towers.encode_trunk(self.model.visual, trunk_features)
        return F.normalize(features, dim=-1) if normalize else features

    def encode_trunk_tokens(
        self, trunk_features: Float[Tensor, "B ..."]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B N W"]]:
        """``encode_image_tokens`` of the images whose ``trunk_features`` are given.

        Raises:
            ValueError: The trunk's output is pooled, so that its tokens are lost.
        """
        return self.encode_trunk(trunk_features), towers.trunk_tokens(self.model.visual, trunk_features)

    def weights(self) -> dict[str, Tensor]:
        """Tensors of the open_clip model by its own names, adapters merged: what checkpoints hold."""
        return self.model.state_dict() if self.adapters is None else merged_weights(self.model)

    def lock_image_trunk(self, *, dropout: float = 0.0) -> None:
        """Freeze the image trunk and keep it in eval mode for good: BatchNorm and dropout stand still too.

        Args:
            dropout: Share of the trunk's features zeroed, in training, before what follows the trunk, which
                overfits quickly on few images. Only ``encode_trunk`` does this.
        """
        self._trunk_locked = True
        self._trunk_dropout = dropout
        towers.image_trunk(self.model.visual).requires_grad_(False).eval()

    def lock_text_layers(self, *, unlocked: int, cache_bytes: int = 0) -> None:
        """Freeze the text tower but for its last ``unlocked`` layers and its head.

        Args:
            unlocked: Layers that learn.
            cache_bytes: Memory for what the locked layers give, each distinct text's once. They are then kept
                in eval mode for good, without their dropout.

        Raises:
            ValueError: If the tower has fewer layers, or none is locked whose output could be kept.
        """
        locked = towers.lock_text_layers(self.model, unlocked=unlocked)
        if cache_bytes:
            self.text_trunk = TextTrunk(locked, most_bytes=cache_bytes)
            self.train(self.training)

    def lock_text_tower(self, *, cache_bytes: int = 0) -> None:
        """Freeze the whole text tower, its head included, and keep it in eval mode for good.

        Args:
            cache_bytes: Memory for what its layers give, each distinct text's once.
        """
        self.lock_text_layers(unlocked=0, cache_bytes=cache_bytes)
        self._text_locked = True
        for part in towers.text_parts(self.model):
            part.requires_grad_(False)
        self.train(self.training)

    def freeze_batch_norm(self) -> None:
        """Keep every BatchNorm in eval mode for good: its statistics stand still, its weights still learn."""
        self._batch_norm_frozen = True
        self.train(self.training)

    def checkpoint_layers(self) -> None:
        """Compute what lies inside the layers that learn again in the backward pass, in place of keeping it.

        Raises:
            ValueError: A tower that cannot do it.
        """
        layers.checkpoint_layers(self.model)

    def compile_layers(self, backend: str) -> None:
        """Compile the layers of both towers by torch.compile.

        Raises:
            ValueError: There is no such backend, or locked layers are passed by, which are called otherwise.
        """
        if self.text_trunk is not None:
            raise ValueError(
                "train.compile compiles layers, and model.text_cache passes some by: leave one of them out"
            )
        layers.compile_layers(self.model, backend=backend)

    def train(self, mode: bool = True) -> DualEncoder:
        """Set training mode, in which locked trunks and a frozen BatchNorm stay in eval mode."""
        super().train(mode)
        if self._batch_norm_frozen:
            for part in self.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        if self._trunk_locked:
            towers.image_trunk(self.model.visual).eval()
        if self._text_locked:
            for part in towers.text_parts(self.model):
                if isinstance(part, nn.Module):
                    part.eval()
        if self.text_trunk is not None:
            towers.still_text_layers(self.model, self.text_trunk.layers)
        return self

    @torch.no_grad()
    def score(
        self, images: Images, texts: str | Iterable[str], *, batch_size: int = 64, kee: bool | None = None
    ) -> np.ndarray:
        """Return cosine similarities, one row an image and one column a text, as float32.

        Args:
            images: As ``encode_image`` takes them.
            texts: One or any number.
            batch_size: Images or texts a forward pass.
            kee: Whether texts are read with their triples; by default where the model has a KEE.

        Raises:
            ValueError: As ``encode_image`` and ``encode_text``; or ``kee=True`` and there is none.
        """
        enhanced = None if kee is False else self.with_knowledge()
        if kee and enhanced is None:
            raise ValueError("kee=True, and this model has no KEE: load a run that was trained with one")
        encode_text = self.encode_text if enhanced is None else enhanced.encode_text
        text_parts = batches(each_text(texts), batch_size, "text")
        with evaluating(self):
            image_features = torch.cat(
                [self.encode_image(part, normalize=True) for part in _parts(images, batch_size)]
            )
            text_features = torch.cat([encode_text(part, normalize=True) for part in text_parts])
        # float32: half precision ties cosines that differ
        return (image_features.float() @ text_features.float().T).cpu().numpy()

    def _encoded(self, ids: Int[Tensor, "B L"]) -> text_length.TextOutput:
        return text_length.encode_grouped(self.model, ids, trunk=self.text_trunk)

    def _ids(self, texts: Texts) -> Int[Tensor, "B L"]:
        return texts if isinstance(texts, torch.Tensor) else self.tokenize(texts).to(self.device)

    def _pixels(self, images: Images) -> Float[Tensor, "B 3 H W"]:
        if not isinstance(images, torch.Tensor):
            images = [self.preprocess(open_image(image)) for image in each_image(images)]
            images = torch.stack(images).to(self.device) if images else torch.empty(0)
        if not len(images):
            raise ValueError("got no image to encode")
        if not images.is_floating_point() or images.ndim != 4 or tuple(images.shape[-2:]) != self.image_size:
            height, width = self.image_size
            raise ValueError(
                f"expected preprocessed images, a float tensor [B, 3, {height}, {width}], got {images.dtype} "
                f"{list(images.shape)}: use DualEncoder.preprocess, or pass files, PIL images or arrays"
            )
        # a tower of convolutions passes the order on from layer to layer and is faster in this one
        return images.contiguous(memory_format=torch.channels_last)


def _parts(images: Images, batch_size: int) -> Iterable[Any]:
    if isinstance(images, torch.Tensor):
        return images.split(batch_size)
    return batches(each_image(images), batch_size, "image")
