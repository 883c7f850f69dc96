"""Tables of the pages on results, from stored run files: ``make results``.

    python scripts/book/results.py                          # write every table of PAGES again
    python scripts/book/results.py --check                  # exit code 1 where one is not what its files say
    python scripts/book/results.py --take runs/demo-full demo   # first store its files as docs/results/demo

A page asks for a table by ``<!-- results: means demo -->`` and ends it with ``<!-- /results -->``; between
them stands what :data:`TABLES` makes of the files of ``docs/results/demo``. These are a run's own, but for
absolute paths, of which the last name is kept: other machines have others.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from knowclip.evaluation.diagnosis.ladder import TITLES
from knowclip.evaluation.report import ablation
from knowclip.evaluation.report.published import PUBLISHED
from knowclip.evaluation.report.summary import bounds, controls
from knowclip.evaluation.report.write import markdown as run_table
from knowclip.storage.atomic import atomic_file

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/results.md", "docs/results_d911184.md")
STORE = ROOT / "docs/results"
FILES = ("results.json", "seeds.json", "ablation.json", "diagnosis.json")
"""What runs leave: of ``evaluate`` and the demo, of the demo's seeds, of a study, of ``diagnose``."""
PARTS = ("all", "new")
"""Of a diagnosis' questions: new are those on combinations that no probe learned from."""
COLUMNS = {
    "vg_relation": "VG-Relation", "vg_attribution": "VG-Attribution", "scene_twins_group": "twins group",
    "image_to_text_R@1": "image-to-text R@1", "text_to_image_R@1": "text-to-image R@1",
    "zero_shot_objects_acc1": "zero-shot nouns", "link_tail_mrr": "tails MRR",
    "link_relation_mrr": "relations MRR", "link_tail_same_image_accuracy": "tails of the same image",
    "blind-balanced swaps": "all swaps and replacements",
    "blind-balanced swaps: relation swaps": "relation swaps",
    "blind-balanced swaps: attribute swaps": "attribute swaps",
    "blind-balanced swaps: attributes, swaps and replacements": "attributes",
}  # fmt: skip
"""A study's metric -> the head of its column."""
MARKER = re.compile(r"(<!-- results: (\S+)((?: [^\s>]+)*) -->\n).*?(<!-- /results -->)", re.DOTALL)
_PATH = re.compile(r"(?<![\w.:/])/(?:[\w.+-]+/)+([\w.+-]+)")


def stored(name: str, file: str) -> dict[str, Any]:
    """One file of a stored run.

    Raises:
        ValueError: There is none; says which are stored.
    """
    path = STORE / name / file
    if not path.is_file():
        there = sorted(found.relative_to(STORE).as_posix() for found in STORE.rglob("*.json"))
        raise ValueError(f"no {name}/{file} under docs/results; there are: {', '.join(there)}")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def seeds(name: str) -> dict[str, Any]:
    """Arms over seeds, as ``ablation.rows`` reads them: of a study, or of the demo, its benchmarks titled."""
    if (STORE / name / "ablation.json").is_file():
        table = stored(name, "ablation.json")
        return table | {
            part: {COLUMNS.get(metric, metric): of for metric, of in table[part].items()}
            for part in ("metrics", "n", "text_only")
        }
    summary, table = stored(name, "results.json"), stored(name, "seeds.json")
    titles = {entry["main"]: _title(of, entry) for of, entry in summary["benchmarks"].items()}
    entries = {titles[entry["main"]]: entry for entry in summary["benchmarks"].values()}
    blind = {title: controls(entry).get("") for title, entry in entries.items()}  # arms share their items
    return table | {
        "metrics": {titles[main]: of for main, of in table["metrics"].items()},
        "n": {title: max(run["n"] for run in entry["methods"].values()) for title, entry in entries.items()},
        "text_only": {title: control for title, control in blind.items() if control},
        "costs": {},
    }


def _title(benchmark: str, entry: dict[str, Any]) -> str:
    part = entry["main"].removeprefix(benchmark).strip("_")
    return f"{entry['title']} {part}".strip()


def _shaped(cells: Sequence[Sequence[str]], table: dict[str, Any]) -> str:
    """Rows of arms, or of metrics where there are more of these."""
    flat = len(ablation.arms(table)) < len(table["metrics"])
    return "\n".join(ablation.lines(list(zip(*cells, strict=True)) if flat else cells))


def means(name: str) -> str:
    """Means over seeds, one figure a cell; an asterisk where it differs clearly from the baseline's."""
    table = seeds(name)

    def cell(row: dict[str, Any] | None) -> str:
        if row is None:
            return ""
        return f"{100 * row['mean']:.1f}{'*' if row['difference'] and row['difference']['clear'] else ''}"

    found = [[arm, *(cell(of.get(arm)) for of in table["metrics"].values())] for arm in ablation.arms(table)]
    legend = (
        f"Means of seeds {', '.join(map(str, table['seeds']))}; \\*: differs from *{table['baseline']}* with "
        "the same sign for all seeds, by more than 2 standard deviations of the paired differences."
    )
    return f"{_shaped([['%', *table['metrics']], *found], table)}\n\n{legend}"


def spread(name: str) -> str:
    """The same with n, standard deviations, differences, intervals and what training cost."""
    table = seeds(name)
    return f"{_shaped(ablation.rows(table), table)}\n\n{ablation.legend(table)}"


def run(name: str) -> str:
    """One run's own table, as its ``report.md`` has it."""
    return run_table(stored(name, "results.json")).partition("\n\n- ")[0]


def told(name: str) -> str:
    """How a run came about: command, seeds, precision, base, versions, time."""
    summary = stored(name, "results.json")
    numbers = ", ".join(map(str, summary["seeds"]))
    versions = ", ".join(f"{package} {number}" for package, number in summary["versions"].items())
    return (
        f"`{summary['command']}`: seeds {numbers}, {summary['precision']}, base blake2b\n"
        f"`{summary['base']['blake2b']}`; {versions}; {summary['wall_seconds'] / 60:.1f} minutes."
    )


def ladder(*names: str, whole: bool = False) -> str:
    """What each rung of a diagnosis reads, of several models side by side; ``whole``: with intervals."""
    models = [{each["kind"]: each for each in stored(name, "diagnosis.json")["ladders"]} for name in names]
    cells = [["% right", *(f"{Path(name).name}, {part}" for name in names for part in PARTS)]]
    for kind in models[0]:
        of = [model[kind] for model in models]
        cells.append([f"**{kind}**", *(f"n {each['n'][part]:,}" for each in of for part in PARTS)])
        for rung, title in TITLES.items():
            cells.append([title, *_read([each["rungs"][rung] for each in of], whole=whole)])
        cells.append([ablation.TEXT_ONLY, *_read([each["text_only"] for each in of], whole=whole)])
    return "\n".join(ablation.lines(cells))


def _read(found: Sequence[dict[str, Any]], *, whole: bool) -> list[str]:
    measured = [each[part] for each in found for part in PARTS]
    told = [
        f"{100 * each['value']:.1f} {bounds(each) if whole else ''}".strip() if each else ""
        for each in measured
    ]
    return told


def published(*benchmarks: str) -> str:
    """Papers' numbers, each with its source."""
    found = [
        [row.model, *(f"{100 * row.values[name]:.1f}" for name in benchmarks), row.source]
        for row in PUBLISHED
        if set(benchmarks) <= set(row.values)
    ]
    return "\n".join(ablation.lines([["%", *benchmarks, "source"], *found]))


TABLES: dict[str, Callable[..., str]] = {
    "means": means, "spread": spread, "run": run, "told": told, "ladder": ladder,
    "ladder-intervals": lambda *names: ladder(*names, whole=True), "published": published,
}  # fmt: skip


def written(text: str, page: str) -> str:
    """A page with every table as its files say.

    Raises:
        ValueError: Naming the page and what it asks for.
    """

    def put(match: re.Match[str]) -> str:
        begin, what, of, end = match.groups()
        if what not in TABLES:
            raise ValueError(f"{page} asks for the table {what!r}; there are: {', '.join(TABLES)}")
        return f"{begin}\n{TABLES[what](*of.split())}\n\n{end}"

    if text.count("<!-- results:") != len(MARKER.findall(text)):
        raise ValueError(f"{page}: every <!-- results: TABLE NAME --> ends with <!-- /results -->")
    return MARKER.sub(put, text)


def elsewhere(value: Any) -> Any:
    """A run file's content with the last name of each absolute path in it."""
    if isinstance(value, dict):
        return {key: elsewhere(one) for key, one in value.items()}
    if isinstance(value, list):
        return [elsewhere(one) for one in value]
    return _PATH.sub(r"\1", value) if isinstance(value, str) else value


def take(folder: Path, name: str) -> None:
    """Store the files of a run under ``docs/results/NAME``.

    Raises:
        ValueError: The folder has none of them.
    """
    found = [folder / file for file in FILES if (folder / file).is_file()]
    if not found:
        raise ValueError(f"{folder} has none of {', '.join(FILES)}: name the folder that a run wrote")
    (STORE / name).mkdir(parents=True, exist_ok=True)
    for path in found:
        content = elsewhere(json.loads(path.read_text(encoding="utf-8")))
        with atomic_file(STORE / name / path.name) as partial:
            partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> int:
    """Store what is to be stored; write the pages, or say which are not as their files say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a table differs")
    parser.add_argument("--take", nargs=2, metavar=("FOLDER", "NAME"), help="store the files of a run first")
    asked = parser.parse_args()
    if asked.take:
        take(Path(asked.take[0]), asked.take[1])
    differ = 0
    for page in PAGES:
        before = (ROOT / page).read_text(encoding="utf-8")
        after = written(before, page)
        if after != before:
            differ += 1
            print(f"{page}: {'tables that their files do not give' if asked.check else 'written'}")
            if not asked.check:
                (ROOT / page).write_text(after, encoding="utf-8")
    return int(asked.check and differ > 0)


if __name__ == "__main__":
    sys.exit(main())
