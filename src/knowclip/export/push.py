"""A checkpoint's folder to a repository of the Hugging Face hub, in one commit."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id

CARD = "README.md"
_LEFT_OUT = {"trainer", "training.json"}
"""Of a run's checkpoint: the optimiser's state, and at which step it stands."""


def files_of(folder: Path) -> dict[str, Path]:
    """What of a checkpoint's folder is published: all its files but the state of its training."""
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): path
        for name, path in found.items()
        if name.parts[0] not in _LEFT_OUT and not any(part.startswith(".") for part in name.parts)
    }


def push(
    folder: Path,
    repository: str,
    *,
    card: str | None = None,
    private: bool = False,
    endpoint: str | None = None,
) -> str:
    """Publish a folder, making the repository where there is none; return the address of the commit.

    Args:
        folder: A checkpoint of any format.
        repository: ``org/name``.
        card: ``README.md`` in place of the folder's own.
        private: Whether a repository that is made now is private.
        endpoint: Of the hub; by default ``HF_ENDPOINT``, or the public one.

    Raises:
        ValueError: The hub refuses it or cannot be reached, with what to do.
    """
    check_name(repository)
    operations = [
        CommitOperationAdd(name, path)
        for name, path in files_of(folder).items()
        if card is None or name != CARD
    ]
    if card is not None:
        operations.append(CommitOperationAdd(CARD, card.encode()))
    api = HfApi(endpoint=endpoint, library_name="knowclip")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(
            repository, operations, commit_message=f"Checkpoint {folder.name}, by knowclip push"
        )
    except (HTTPError, OSError) as error:  # not every one of the former is one of the latter
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{repository} was not pushed to {api.endpoint} ({reason}): {_remedy(error)}"
        ) from error
    return str(commit.commit_url)


def check_name(repository: str) -> None:
    """Refuse what cannot be the name of a repository, before anything is read.

    Raises:
        ValueError: With the hub's reason.
    """
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise ValueError(f"{repository!r} is no name of a repository ({error}): give ORG/NAME") from error


def _remedy(error: Exception) -> str:
    """What to do about a push that failed: the hub answered, or it was never reached."""
    if isinstance(error, OfflineModeIsEnabled):
        return "unset HF_HUB_OFFLINE where there is a connection"
    if isinstance(error, HTTPError) and not isinstance(error, HfHubHTTPError):
        return "look whether there is a connection, and whether HF_ENDPOINT, if set, is a hub's address"
    return (
        "log in with 'hf auth login' (or set HF_TOKEN to a token that may write), and give ORG/NAME of an "
        "account that is yours"
    )
