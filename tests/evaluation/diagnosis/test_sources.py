"""Where a diagnosis gets its questions, and what it says of data that give too few."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from knowclip.evaluation.diagnosis import sources
from knowclip.evaluation.metrics import NoDataError


def test_too_few_questions_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: sources.Found = {"attributes": [], "roles": []}
    monkeypatch.setattr(sources, "_captioned", lambda *args: (nothing, nothing, Counter(), None))
    with pytest.raises(NoDataError, match=r"fewer than 50.*--most.*`knowclip scenes`.*Visual Genome"):
        sources.read_source(tmp_path, most=100)
