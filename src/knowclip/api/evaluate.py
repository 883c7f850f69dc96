"""``knowclip.evaluate``: a model to Results, as ``knowclip evaluate`` measures it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowclip.models.clip import DualEncoder
    from knowclip.types import Result


def evaluate(
    model: DualEncoder | str | Path,
    benchmarks: str | Sequence[str] = (),
    *,
    data: str | Path,
    split: str | None = None,
    allow_missing: bool = False,
    swap_items: int | None = None,
    device: str | None = None,
    images: str | Path | None = None,
    image_column: str | None = None,
    caption_column: str | None = None,
    split_column: str | None = None,
    out: str | Path | None = None,
) -> dict[str, Result]:
    """Measure a model on benchmarks or on captioned photos of one's own (``knowclip.evaluate``).

    Args:
        model: As ``knowclip.load`` gives it, or what it takes.
        benchmarks: Benchmarks and suites by name (``knowclip benchmarks`` lists them); none: all that
            ``data`` has the files of.
        data: Folder with benchmark files or scenes; or own photos: a captions file or folder.
        split: "test" by default, of own photos all rows, splits or not; "val" for selection.
        allow_missing: Accept that over 1% of records or images are missing.
        swap_items: Swaps of own photos, at most; None: 3,000, always the same ones; 0: all.
        device: To load a named model on.
        images: Of own photos: the folder that image names are relative to; looked for when None.
        image_column: Of own photos in a table: column of image names, where the header leaves it open.
        caption_column: Column of captions, likewise.
        split_column: Column that says the split, if it is not called "split".
        out: Folder that keeps the results with every item's scores; ``knowclip report`` makes a page of them.

    Returns:
        Results by benchmark: ``["sugarcrepe"].metrics``. Where the model has a KEE, a second one each:
        ``["sugarcrepe with KEE"]``.

    Raises:
        ValueError: Nothing can be measured. Of several, those that cannot be are warned of with the reason.
    """
    from knowclip.api.benchmark_data import asked, find, unmeasured
    from knowclip.api.measuring import measure, text_only

    chosen = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    data, named = Path(data), isinstance(model, str | Path)
    _check(model, data, chosen, out, device)
    columns = {"images": images, "image_column": image_column, "caption_column": caption_column}
    reading = {"columns": columns | {"split_column": split_column}, "swap_items": swap_items}
    found, absent = find(data, chosen, split, allow_missing=allow_missing, **reading)
    expected = chosen or asked(found, absent)
    control = text_only(data, found, device=device)
    label = str(model) if named else model.loaded_from or "model"
    where = {"split": split or "test", "out": None if out is None else Path(out), "device": device}
    where |= {"allow_missing": allow_missing, "absent": absent}
    runs, failed = measure({label: None if named else model}, found, control, data=data, **where)
    absent |= failed
    for name in unmeasured(expected, absent):
        reason = absent.get(name, "none of its benchmarks can be")
        warnings.warn(f"{name} was not measured: {reason}", stacklevel=2)
    return {r.benchmark + run.removeprefix(label): r for run, results in runs.items() for r in results}


def _check(
    model: DualEncoder | str | Path,
    data: Path,
    chosen: Sequence[str],
    out: str | Path | None,
    device: str | None,
) -> None:
    """Refuse what can be known before anything is loaded."""
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    preflight.captions(data, "data", way=preflight.way_to_benchmarks(chosen, data))
    if out is not None:
        preflight.results_folder(Path(out), "out")
    if isinstance(model, str | Path):
        check_model(str(model), device=device)
    elif device is not None:
        raise ValueError(f"device={device!r} is for a model that is named; move this one with model.to(...)")
