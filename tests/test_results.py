"""docs/results.md: every table comes from a stored run file, or its section says that there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from documents import ROOT

SCRIPTS = ROOT / "scripts/book"
NOT_KEPT = "run files were not kept"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="the wheel has no documents")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``scripts/book/results.py``."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import results

    return results


@pytest.fixture
def store(results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The same, with an empty store and one page."""
    monkeypatch.setattr(results, "STORE", tmp_path / "docs/results")
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "PAGES", ("docs/page.md",))
    return results


def left(folder: Path, **files: object) -> Path:
    """A run's folder with these files."""
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def study(mean: float = 0.5) -> dict[str, object]:
    difference = {"values": [0.1, 0.1], "mean": 0.1, "sd": 0.0, "clear": True, "items": None}
    plain = {"values": [0.4, 0.4], "mean": 0.4, "sd": 0.0, "difference": None}
    other = {"values": [mean, mean], "mean": mean, "sd": 0.01, "difference": difference}
    return {
        "seeds": [0, 1], "baseline": "plain", "metrics": {"swaps": {"plain": plain, "negclip": other}},
        "title": "A study of /data/mine/photos", "n": {"swaps": 1200}, "text_only": {},
        "costs": {"plain": {"seconds": 10, "images": 2, "texts": 4}},
    }  # fmt: skip


@pytest.mark.parametrize("page", ["docs/results.md", "docs/results_d911184.md"])
def test_tables_are_what_their_files_say(results: ModuleType, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert results.written(text, page) == text, "make results"


@pytest.mark.parametrize("page", ["docs/results.md", "docs/results_d911184.md"])
def test_a_table_without_a_file_is_in_a_section_that_says_so(results: ModuleType, page: str) -> None:
    head, *sections = re.split(r"(?m)^## ", (ROOT / page).read_text(encoding="utf-8"))
    for section in sections:
        by_hand = re.findall(r"(?m)^\|.*", results.MARKER.sub("", section))
        assert not by_hand or NOT_KEPT in section + head, f"{page}, {section.splitlines()[0]}: {by_hand[0]}"


def test_a_figure_changed_by_hand_is_found(
    store: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.take(left(tmp_path / "run", ablation=study()), "mine")
    page = tmp_path / "docs/page.md"
    page.write_text("Before.\n\n<!-- results: means mine -->\n<!-- /results -->\n\nAfter.\n")
    monkeypatch.setattr("sys.argv", ["results.py"])
    assert store.main() == 0
    assert "| negclip | 50.0* |" in page.read_text() and "seeds 0, 1" in page.read_text()
    monkeypatch.setattr("sys.argv", ["results.py", "--check"])
    assert store.main() == 0
    page.write_text(page.read_text().replace("50.0*", "55.0*"))
    assert store.main() == 1
    assert "55.0*" in page.read_text()  # --check writes nothing


def test_another_run_of_the_same_name_writes_other_figures(
    store: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mean in (0.5, 0.625):
        run = left(tmp_path / f"run-{mean}", ablation=study(mean))
        (tmp_path / "docs").mkdir(exist_ok=True)
        page = tmp_path / "docs/page.md"
        page.write_text("<!-- results: spread mine -->\nold\n<!-- /results -->\n")
        monkeypatch.setattr("sys.argv", ["results.py", "--take", str(run), "mine"])
        assert store.main() == 0
    assert "| negclip | 62.5 ± 1.0; +10.0* |" in page.read_text()
    assert "| plain | 40.0 ± 0.0 | 10 | 2 | 4 |" in page.read_text()


def test_stored_files_name_no_place_of_a_machine(store: ModuleType, tmp_path: Path) -> None:
    told = {"command": "knowclip demo --out /data/x/demo8 a.b=/c/d", "more": ["https://a.org/b/c", "1/2"]}
    store.take(left(tmp_path / "run", results=told, ablation=study()), "mine")
    kept = json.loads((store.STORE / "mine/results.json").read_text())
    assert kept == {"command": "knowclip demo --out demo8 a.b=d", "more": ["https://a.org/b/c", "1/2"]}
    assert json.loads((store.STORE / "mine/ablation.json").read_text())["title"] == "A study of photos"


def test_what_cannot_be_written_is_refused(store: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has none of results\.json"):
        store.take(left(tmp_path / "empty"), "mine")
    store.take(left(tmp_path / "run", ablation=study()), "mine")
    for text, message in (
        ("<!-- results: means yours -->\n<!-- /results -->", r"no yours/results\.json.*mine/ablation\.json"),
        (
            "<!-- results: mean mine -->\n<!-- /results -->",
            "page asks for the table 'mean'; there are: means",
        ),
        ("<!-- results: means mine -->\n", "ends with <!-- /results -->"),
    ):
        with pytest.raises(ValueError, match=message):
            store.written(text, "page")
