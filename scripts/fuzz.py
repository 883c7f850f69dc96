"""Damaged files for every reader, odd texts for the parser: a result or an error that teaches, never a crash.

    python scripts/fuzz.py --minutes 60                # every target, an hour together
    python scripts/fuzz.py --minutes 5 graph captions  # those whose names begin so
    python scripts/fuzz.py --list

Hypothesis draws the damage: bytes anywhere, a value of a JSON file by one of another type, a field of a
table. What a reader may do with it: read what is left, or raise a ValueError that says which file. A finding
is shrunk and printed with the damaged text; the others go on. Exit code 1 where there is one.

Targets share the time, not the inputs: the next turn is of the one that had the least of it, so that a slow
one holds up no other. The table at the end says how many inputs and seconds each had.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from fuzzing.damage import Example, Target, examples_of
from fuzzing.targets import targets
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

FIRST = 20
"""Inputs of a target's first turn, which measures its speed."""
TURNS = 4
"""Of a target, about: each begins hypothesis anew with another seed."""


@dataclass
class Share:
    """What one target had so far."""

    example: Example
    inputs: int = 0
    seconds: float = 0.0
    finding: str = ""

    def counted(self, data: st.DataObject) -> None:
        """One input."""
        self.inputs += 1
        self.example(data)

    def turn(self, name: str, *, seed: int, seconds: float) -> None:
        """As many inputs as fit into ``seconds`` by the speed of those before; few in the first turn."""
        fit = seconds * self.inputs / self.seconds if self.seconds else FIRST
        chosen = settings(
            max_examples=min(max(int(fit), 1), 5000), deadline=None, database=None,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
        )  # fmt: skip
        began = time.monotonic()
        try:
            seeded(seed)(chosen(given(st.data())(self.counted)))()
        except Exception:
            self.finding = f"=== {name}, seed {seed}\n{traceback.format_exc(limit=-3)}"
            print(self.finding, flush=True)
        self.seconds += time.monotonic() - began


def in_turn(shares: dict[str, Share], *, seed: int, seconds: float) -> None:
    """Give every target its turns until the time is over or each has a finding."""
    end, turns = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        waiting = [name for name, share in shares.items() if not share.finding]
        if not waiting:
            return
        name = min(waiting, key=lambda each: shares[each].seconds)
        shares[name].turn(name, seed=seed + turns, seconds=seconds / len(shares) / TURNS)
        turns += 1


def main() -> None:
    """Read the command line, fuzz in turn until the time is over, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", help="beginnings of names; all")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="name the targets and stop")
    chosen = parser.parse_args()
    found = targets(chosen.targets)
    if chosen.list:
        print("\n".join(found))
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KNOWCLIP_CACHE"] = str(Path(scratch) / "cache")
        shares = {}
        for number, (name, target) in enumerate(found.items()):
            (folder := Path(scratch) / str(number)).mkdir()
            shares[name] = Share(examples_of(target, folder) if isinstance(target, Target) else target)
        in_turn(shares, seed=chosen.seed, seconds=60 * chosen.minutes)
    for name, each in shares.items():
        print(f"{each.inputs:8,} inputs {each.seconds:6.0f} s  {name}")
    inputs = sum(each.inputs for each in shares.values())
    findings = sum(bool(each.finding) for each in shares.values())
    print(f"{inputs:,} inputs in {chosen.minutes:g} minutes, {findings} findings")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
