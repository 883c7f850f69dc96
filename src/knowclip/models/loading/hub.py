"""From a name on the Hugging Face hub to a folder of its files, fetched once into the hub's own cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from knowclip.models.loading.names import OPEN_CLIP_CONFIGS
from knowclip.models.loading.weight_files import INDEX

PREFIX = "hf-hub:"
_PATIENCE = 5.0
"""Seconds that the hub has for an answer."""
_SMALL = ["*.json", "*.txt", "*.model"]
_OPEN_CLIP = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TRANSFORMERS = ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin")
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")


def fetch(name: str) -> Path:
    """Fetch configuration, tokenizer and one set of weights of ``hf-hub:ORG/NAME``.

    Repositories often hold the same weights in several formats: the first that is there is fetched alone.

    Raises:
        ValueError: If the hub cannot be reached, does not have it, or it holds no weights.
    """
    repository = name.removeprefix(PREFIX)
    try:
        with at_once():
            folder = Path(snapshot_download(repository, allow_patterns=_SMALL))
            for pattern in _weights_in(folder):
                patterns = [*_SMALL, pattern, f"*/{pattern}"]
                folder = Path(snapshot_download(repository, allow_patterns=patterns))
                if any(folder.rglob(pattern)):
                    return folder
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{PREFIX}{repository} cannot be fetched from the Hugging Face hub ({reason}): download it "
            f"where there is a connection, with 'hf download {repository} --local-dir FOLDER', and give "
            "FOLDER"
        ) from error
    raise ValueError(f"{PREFIX}{repository} holds no weights of open_clip, transformers or PEFT")


@contextmanager
def at_once() -> Iterator[None]:
    """Inside, what is not in the hub's cache fails at once where the hub does not answer.

    Its library asks again for most of a minute before it says that there is no connection.

    Raises:
        ConnectionError: That is so.
    """
    before = constants.HF_HUB_OFFLINE
    if before or _answers():
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    except OSError as error:
        raise ConnectionError(f"{constants.ENDPOINT} does not answer, and it is not in the cache") from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers() -> bool:
    """Whether anything comes back from the hub, be it a refusal."""
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=_PATIENCE).close()
    except HTTPError:
        return True
    except OSError:
        return False
    return True


def _weights_in(folder: Path) -> tuple[str, ...]:
    if any((folder / name).is_file() for name in OPEN_CLIP_CONFIGS):
        return _OPEN_CLIP
    if (folder / "adapter_config.json").is_file():
        return _ADAPTERS
    sharded = any(folder.rglob(f"model.safetensors{INDEX}"))
    return _TRANSFORMERS[1:] if sharded else _TRANSFORMERS
