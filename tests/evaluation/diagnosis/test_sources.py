"""Where a diagnosis gets its questions, and what it says of data that give too few."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from knowclip.evaluation.diagnosis import sources
from knowclip.evaluation.metrics import NoDataError


def test_too_few_questions_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: sources.Found = {"attributes": [], "roles": []}
    for beyond, told in ((0, "annotations$"), (7, "annotations, or raise --most$")):
        read = sources.Read("captions", [], Counter({sources.BEYOND: beyond}), [])
        monkeypatch.setattr(
            sources, "_captioned", lambda *args, read=read: (nothing, nothing, Counter(), read)
        )
        with pytest.raises(NoDataError, match=rf"fewer than 50.*`knowclip scenes`.*Visual Genome's {told}"):
            sources.read_source(tmp_path, most=100)
