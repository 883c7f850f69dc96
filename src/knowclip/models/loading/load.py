"""From a name, a folder, a file or a configuration to a DualEncoder.

======================================  ==================================================================
``load("ViT-B-32/openai")``             an open_clip architecture and pretrained tag, downloaded
``load("ViT-B-32", pretrained=...)``    the same; ``pretrained`` may be a file of weights, or ``"random"``
``load("negclip.pt", activation=...)``  a file of weights whose architecture is told by its shapes
``load("hf-hub:org/name")``             an open_clip or transformers ``CLIPModel`` on the Hugging Face hub
``load("runs/demo/negclip")``           a run folder (its ``best``) or any open_clip folder
``load("clip-vit-base-patch32")``       a folder of transformers' ``CLIPModel`` with its processor, of
                                        sentence-transformers around one, or of a PEFT adapter to one
``load("lite0-minilm")``                an architecture of ours, or a ``.json``, with the weights it names
``load("scenes-base")``                 a checkpoint that ships with knowclip
======================================  ==================================================================

``docs/weights.md`` says what happens to each. The activation is part of a checkpoint's meaning: OpenAI's
weights and all that descend from them (NegCLIP, CE-CLIP) need QuickGELU and are silently wrong with GELU.
Tags and folders say it; for a file of weights of an architecture that exists with both, it must be given. So
is the preprocessing: a bare file takes that of its architecture's published checkpoints where they agree.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from shlex import quote
from typing import Any

import open_clip
import torch
from open_clip import download_pretrained

from knowclip.models import preprocessing
from knowclip.models.clip import DualEncoder
from knowclip.models.loading import architectures, checkpoints, hub
from knowclip.models.loading.architectures import SHIPPED, shipped_names
from knowclip.models.loading.building import (
    Activation,
    build,
    build_architecture,
    described_in,
    drawn_with,
    without_pretrained,
)
from knowclip.models.loading.folders import holds_config_of, is_config, load_folder
from knowclip.models.loading.names import INDEX, RANDOM, refuse_other_file
from knowclip.models.loading.weight_files import read_json
from knowclip.storage.atomic import recover

__all__ = ["RANDOM", "SHIPPED", "Activation", "build", "load", "shipped_names"]


def load(
    name_or_path: str | Path,
    *,
    device: str | torch.device | None = None,
    pretrained: str | Path | None = None,
    activation: Activation | None = None,
    preprocess: str | dict[str, Any] | None = None,
    seed: int | None = 0,
) -> DualEncoder:
    """Load a model in eval mode.

    Args:
        name_or_path: See the table at the top of this module.
        device: Where to put it; the CPU by default.
        pretrained: Tag, file of weights, or ``"random"``, for an architecture's name or JSON file.
        activation: Overrides what the checkpoint says of its activation, or says it where it does not.
        preprocess: For a bare file of weights: the tag of its architecture whose preprocessing it needs, or
            ``mean``, ``std``, ``interpolation``, ``resize_mode`` themselves.
        seed: Of weights that no file holds, all of ``"random"`` and the heads of ``lite0-minilm``: a name is
            one model, whenever it is loaded, and that which a run with this seed starts from. None: they
            come from torch's generator as it stands, as a run's own do.

    Raises:
        ValueError: If the source is unknown, unreadable, does not fit or holds NaN; or if activation or
            preprocessing cannot be known, or have no effect.
    """
    if activation not in (None, "gelu", "quick_gelu"):
        raise ValueError(f"activation is 'gelu' or 'quick_gelu', got {activation!r}")
    name, path = str(name_or_path), Path(name_or_path)
    # a run killed while it replaced the folder has the old one beside it
    recover(path)
    with drawn_with(seed):
        model = _found(name_or_path, pretrained, activation, preprocess)
    drawn = isinstance(name_or_path, str) and pretrained is None and name in architectures.own_names()
    if drawn and seed is not None:
        warnings.warn(
            f"{name}: its projections have no weights yet and are drawn (seed {seed}): what it says of "
            "images and texts means nothing before it is trained",
            stacklevel=2,
        )
    origin = name if pretrained is None else f"{name} ({pretrained})"
    # NaN loads without a word, and every cosine is NaN afterwards
    checkpoints.refuse_not_finite(model.model, origin)
    return model.to(device).eval()


def _found(
    name_or_path: str | Path,
    pretrained: str | Path | None,
    activation: Activation | None,
    preprocess: str | dict[str, Any] | None,
) -> DualEncoder:
    """The model, by what its name or path is."""
    name, path = str(name_or_path), Path(name_or_path)
    if isinstance(name_or_path, str) and name in architectures.names():  # a folder of that name is ./NAME
        return _from_name(name, pretrained, activation, preprocess)
    if _is_architecture(path, pretrained):
        return _from_json(path, pretrained, activation, preprocess)
    if path.exists() and pretrained is not None:
        raise ValueError(
            f"pretrained={str(pretrained)!r} is for architecture names; {path} has its own weights"
        )
    if path.is_file() and not (preprocess is None and holds_config_of(path)):
        return _from_weights(path, activation=activation, preprocess=preprocess)
    if _brings_preprocessing(name_or_path) and preprocess is not None:
        raise ValueError(f"preprocess={preprocess!r} is for a bare file of weights; {name} says its own")
    if isinstance(name_or_path, str) and name in shipped_names():
        return load_folder(SHIPPED / name, activation)
    if path.exists():
        return load_folder(path if path.is_dir() else path.parent, activation)
    if name.startswith(hub.PREFIX):
        return load_folder(hub.fetch(name), activation)
    return _from_name(name, pretrained, activation, preprocess)


def _is_architecture(path: Path, pretrained: str | Path | None) -> bool:
    """Whether a file describes a model to be built; the configuration of a folder stands for its weights."""
    named = path.suffix == ".json" and not path.name.endswith(INDEX) and path.is_file()
    return named and not (pretrained is None and is_config(path))


def _brings_preprocessing(name_or_path: str | Path) -> bool:
    name = str(name_or_path)
    return Path(name).exists() or name.startswith(hub.PREFIX) or name in shipped_names()


def _from_name(
    name: str,
    pretrained: str | Path | None,
    activation: Activation | None,
    preprocess: str | dict[str, Any] | None,
) -> DualEncoder:
    head, _, tag = name.rpartition("/")
    if pretrained is None and head in architectures.names():
        name, pretrained = head, tag
    architecture = architectures.architecture(name)
    if pretrained == RANDOM:
        quick_gelu = _is_quick(architecture, activation)
        given = (
            None
            if preprocess is None
            else preprocessing.chosen(name, preprocess, name, quick_gelu=quick_gelu)
        )
        own = architecture.get("preprocess_cfg") or preprocessing.agreed(name, quick_gelu=quick_gelu)
        architecture = without_pretrained({**architecture, "preprocess_cfg": given or own})
        return build_architecture(architecture, activation)
    if pretrained is not None and Path(pretrained).is_file():
        return _from_weights(Path(pretrained), name=name, activation=activation, preprocess=preprocess)
    if preprocess is not None:
        raise ValueError(f"preprocess={preprocess!r} is for a bare file of weights, pretrained=FILE")
    if pretrained is None and name in architectures.own_names():
        return build_architecture(architecture, activation)
    return _from_tag(name, _tag_of(name, pretrained), activation)


def _tag_of(name: str, pretrained: str | Path | None) -> str:
    """The tag that was given, or ValueError with what may be given, in Python and in a recipe."""
    if pretrained is not None and open_clip.is_pretrained_cfg(name, str(pretrained)):
        return str(pretrained)
    if name in architectures.own_names():
        raise ValueError(
            f"{name} has no pretrained tags, got pretrained={str(pretrained)!r}: leave it out (in a recipe "
            "model.pretrained=null) for the towers that it names, or give a file of weights"
        )
    got = "got none" if pretrained is None else f"pretrained={str(pretrained)!r} is no tag of it and no file"
    if pretrained is not None and Path(pretrained).is_dir():
        got = f"pretrained={str(pretrained)!r} is a folder, which is a model itself: give it as the name"
    tags = open_clip.list_pretrained_tags_by_model(name)
    first = tags[0] if tags else RANDOM
    raise ValueError(
        f"{name} needs weights, {got}: load('{name}/{first}'), in a recipe model.pretrained={first}, or a "
        f"file of weights, or one of {', '.join([*tags, RANDOM])}"
    )


def _from_tag(name: str, tag: str, activation: Activation | None) -> DualEncoder:
    tag_cfg = open_clip.get_pretrained_cfg(name, tag)
    try:
        with hub.at_once():
            path = Path(download_pretrained(tag_cfg))
    except OSError as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"the weights {name}/{tag} cannot be downloaded ({reason}): get their file where there is a "
            "connection, and give that file in place of the name (in a recipe model.name=FILE). Without a "
            f"connection there are {', '.join(architectures.offline_names())} and your own files"
        ) from error
    architecture = architectures.architecture(name)
    architecture["model_cfg"]["quick_gelu"] = tag_cfg.get("quick_gelu", False)
    state = checkpoints.to_open_clip(checkpoints.read_state_dict(path), path)
    return _with_state(
        {**architecture, "preprocess_cfg": preprocessing.of_tag(name, tag)}, state, path, activation
    )


def _from_json(
    path: Path,
    pretrained: str | Path | None,
    activation: Activation | None,
    preprocess: str | dict[str, Any] | None,
) -> DualEncoder:
    architecture = read_json(path)
    if isinstance(preprocess, str):
        raise ValueError(f"{path} has no tags, got preprocess={preprocess!r}: give mean and std themselves")
    if preprocess is not None:
        architecture = {**architecture, "preprocess_cfg": preprocessing.checked(preprocess)}
    if pretrained in (None, RANDOM):
        with described_in(path):
            found = architecture if pretrained is None else without_pretrained(architecture)
            return build_architecture(found, activation)
    if not Path(pretrained).is_file():
        raise ValueError(f"{path} has no tags: pretrained={str(pretrained)!r} is to be a file or {RANDOM!r}")
    weights = Path(pretrained)
    state = checkpoints.to_open_clip(checkpoints.read_state_dict(weights), weights)
    with described_in(path):
        return _with_state(architecture, state, weights, activation)


def _from_weights(
    path: Path,
    *,
    name: str | None = None,
    activation: Activation | None,
    preprocess: str | dict[str, Any] | None,
) -> DualEncoder:
    """Load a bare file of weights, of a named architecture or the one that its shapes tell."""
    refuse_other_file(path)
    state = checkpoints.to_open_clip(checkpoints.read_state_dict(path), path)
    if name is None:
        name = _architecture_of(state, path)
        twin = architectures.has_quick_relative(name)
    else:
        twin = architectures.has_quick_twin(name) and not name.endswith("-quickgelu")
    if activation is None and twin:
        raise ValueError(
            f"{path}: {name} exists with both activations and the file does not say which. Pass "
            "activation='quick_gelu' if the weights descend from OpenAI's (NegCLIP, CE-CLIP, ...), "
            "activation='gelu' if from LAION's or DataComp's; the wrong one gives silently wrong embeddings. "
            "In a recipe: model.activation=quick_gelu; for other commands: knowclip convert "
            f"{quote(str(path))} FOLDER --activation quick_gelu, then give FOLDER"
        )
    architecture = architectures.architecture(name)
    if name in architectures.own_names() and not isinstance(preprocess, str):
        chosen = preprocessing.checked(preprocess) if preprocess else architecture.get("preprocess_cfg")
    else:
        chosen = preprocessing.chosen(name, preprocess, path, quick_gelu=_is_quick(architecture, activation))
    return _with_state({**architecture, "preprocess_cfg": chosen}, state, path, activation)


def _is_quick(architecture: architectures.Architecture, activation: Activation | None) -> bool:
    """Whether the activation is QuickGELU: as is said, else as the architecture has it."""
    quick_gelu = bool(architecture["model_cfg"].get("quick_gelu"))
    return quick_gelu if activation is None else activation == "quick_gelu"


def _architecture_of(state: checkpoints.State, path: Path) -> str:
    names = architectures.matching_names(state)
    plain = {name.removesuffix("-quickgelu") for name in names}
    if len(plain) != 1:
        found = f"several fit: {', '.join(sorted(plain))}" if plain else "no native one of open_clip's fits"
        raise ValueError(
            f"{path}: cannot tell the architecture from the shapes ({found}): name it, as in "
            f"load('ViT-B-32', pretrained={str(path)!r}); in a recipe: model.name=ViT-B-32 "
            f"model.pretrained={quote(str(path))}; for other commands: knowclip convert "
            f"{quote(str(path))} FOLDER --architecture ViT-B-32"
        )
    return plain.pop()


def _with_state(
    architecture: architectures.Architecture,
    state: checkpoints.State,
    path: Path,
    activation: Activation | None,
) -> DualEncoder:
    """Build an architecture at the sizes of the weights, and load them."""
    architecture = without_pretrained(architecture)
    published = architecture["model_cfg"]
    sized = architectures.with_sizes_of(published, state, path)
    model = build_architecture({**architecture, "model_cfg": sized}, activation)
    checkpoints.load_state(model.model, state, path)
    changes = [
        f"{key} {sized[part][key]} for {published[part].get(key, 'the default')}"
        for part, key in (("vision_cfg", "image_size"), ("text_cfg", "context_length"))
        if sized[part].get(key) != published[part].get(key)
    ]
    if changes:
        warnings.warn(
            f"{path}: the model is built at the sizes of the weights: {', '.join(changes)}", stacklevel=2
        )
    return model
