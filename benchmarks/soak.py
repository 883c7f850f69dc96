"""A run of two processes that is killed again and again, its files damaged, ends as one left alone.

    python benchmarks/soak.py                       # 30 minutes
    python benchmarks/soak.py --minutes 6 --seed 1

Trains ``negclip`` on a small world with ``accelerate launch`` (two processes, gloo, CPU; data workers,
negatives, patch dropout, micro-batches), once undisturbed. Then again and again until the time is used up,
and at random moments, starting up and saving included:

- SIGKILL hits one of the two processes, or all with their launcher;
- before it goes on, a bit of ``last`` flips or a file of it is cut short (``output.keep_last=3``), or an
  image of the training data changes, which must be refused by name and is put back.

Of the images one in a hundred is cut short from the start, in both runs. At the end prints what happened and
the largest difference between the weights of a run and of the first. The exit code is 1 if it is above
``--tolerance``, if a loss of any step differs by more, or if something that had to be refused was not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from PIL import Image

NOUNS = ("dog", "cat", "horse", "bird", "cow", "sheep")
COLOURS = ("red", "blue", "green", "black", "white", "brown")
IMAGES, BROKEN = 400, 4
MODEL = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8, "patch_dropout": 0.25
    },
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}  # fmt: skip
LAUNCH = ("accelerate.commands.accelerate_cli", "launch", "-q", "--multi_gpu", "--num_processes", "2",
          "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
          "--main_process_port", "0")  # fmt: skip
LONGEST = 0.6
"""Of the time of a run left alone: an attempt is killed within that, so that no run passes by without."""
STALLED = 900.0
"""Seconds without a line after which a run counts as hung."""


class FailedError(Exception):
    """What must not happen has happened."""


def write_world(folder: Path, *, seed: int) -> None:
    """Pictures of noise with captions, a few of them cut short; and the architecture."""
    draw = random.Random(seed)
    (folder / "images").mkdir(parents=True)
    rows = ["image,caption"]
    for number in range(IMAGES):
        path = folder / "images" / f"{number}.png"
        Image.effect_noise((40, 40), 20 + number).convert("RGB").save(path)
        one, other = draw.sample(NOUNS, 2)
        first, second = draw.sample(COLOURS, 2)
        rows.append(f"{path.name},a {first} {one} chases a {second} {other}")
        if number % (IMAGES // BROKEN) == 7:
            path.write_bytes(path.read_bytes()[:600])
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    (folder / "model.json").write_text(json.dumps({"model_cfg": MODEL}))


class Soak:
    """Both runs on one world.

    Args:
        folder: Of the world and the runs.
        steps: Of each run.
        random: Decides when and what.
    """

    def __init__(self, folder: Path, *, steps: int, random: random.Random) -> None:
        self.folder = folder
        self.steps = steps
        self.random = random
        self.happened: Counter[str] = Counter()

    def command(self, run: str, *, resume: bool) -> list[str]:
        """Give the command line of a run: ``calm`` or ``tried``."""
        world = self.folder / "world"
        values = [
            f"model={{name: {world / 'model.json'}}}",
            f"data.train={{path: {world / 'captions.csv'}, images: {world / 'images'}}}",
            "data.val=null", f"data.cache_dir={self.folder / 'cache'}", "data.negatives.per_caption=2",
            "data.max_unreadable=0.05", "method.own_negative_weight=0.5",
            "selection.metrics=[text_to_image_R@1]",  # its swaps have no validation data
            "train.epochs=null", f"train.steps={self.steps}", "train.batch_size=16", "train.accumulate=2",
            "train.num_workers=1", "train.log_every=1", "train.save_every=5", "optimizer.lr=1e-3",
            "schedule.warmup=5", "output.keep_last=3", f"output.folder={self.folder / run}",
        ]  # fmt: skip
        arguments = [*LAUNCH, "-m", "knowclip.cli", "train", "negclip", *values]
        return [sys.executable, "-m", *arguments, *(["--resume"] if resume else [])]

    def start(self, run: str, *, resume: bool) -> subprocess.Popen[bytes]:
        """Start a run; what it says goes to a file beside its folder."""
        environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        with (self.folder / f"{run}.txt").open("ab") as output:
            return subprocess.Popen(
                self.command(run, resume=resume),
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # what a terminal sends is not for it
            )

    def undisturbed(self) -> float:
        """Train ``calm``; return the seconds that it took."""
        begun = time.monotonic()
        if (code := self.start("calm", resume=False).wait()) != 0:
            raise FailedError(f"the undisturbed run ended with exit code {code}:\n{self.tail('calm')}")
        return time.monotonic() - begun

    def disturbed(self, *, until: float, longest: float) -> None:
        """Train ``tried``, killed within ``longest`` seconds each time, undisturbed from ``until`` on."""
        while True:
            resume = (self.folder / "tried" / "last").exists()
            if resume and time.monotonic() < until:
                self.damage()
            process = self.start("tried", resume=resume)
            killed_at = time.monotonic() + self.random.uniform(0, longest)
            while process.poll() is None and not killed_at < time.monotonic() < until:
                self.refuse_hanging(process)
                time.sleep(0.2)
            if process.poll() == 0:
                return
            if process.poll() is not None:
                raise FailedError(f"it ended with exit code {process.returncode}:\n{self.tail('tried')}")
            self.kill(process)

    def refuse_hanging(self, process: subprocess.Popen[bytes]) -> None:
        """End a run that says nothing any more."""
        output = self.folder / "tried.txt"
        if time.time() - output.stat().st_mtime > STALLED:
            _kill_all(process)
            raise FailedError(f"nothing was written for {STALLED:.0f} seconds:\n{self.tail('tried')}")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to one of the processes that train, the launcher then ends the other; or to all."""
        training = _children(process.pid)
        if len(training) == 2 and self.random.random() < 0.5:
            rank = self.random.randrange(2)
            self.happened[f"one process killed (the {'first' if rank == 0 else 'second'})"] += 1
            os.kill(training[rank], signal.SIGKILL)
            try:
                process.wait(timeout=STALLED)
            except subprocess.TimeoutExpired as error:
                _kill_all(process)
                raise FailedError(f"the other process hangs:\n{self.tail('tried')}") from error
        else:
            self.happened["all processes killed"] += 1
        _kill_all(process)

    def damage(self) -> None:
        """Spoil the checkpoint, or the data, or nothing."""
        chosen, last = self.random.random(), self.folder / "tried" / "last"
        # with another to go back to: a run that made no step since may have lost the others already
        if chosen < 0.3 and list(last.parent.glob("last-*")):
            files = [path for path in sorted(last.rglob("*")) if path.is_file()]
            path = self.random.choice(files)
            content = bytearray(path.read_bytes())
            place = self.random.randrange(len(content))
            if self.random.random() < 0.5:
                content[place] ^= 1 << self.random.randrange(8)
                self.happened["a bit of last flipped"] += 1
            else:
                del content[place:]
                self.happened["a file of last cut short"] += 1
            path.write_bytes(content)
        elif chosen > 0.9:
            self.change_an_image()

    def change_an_image(self) -> None:
        """``--resume`` must refuse other data and name them; then they are put back."""
        path = self.folder / "world" / "images" / f"{self.random.randrange(IMAGES)}.png"
        before, times = path.read_bytes(), path.stat()
        path.write_bytes(before[: len(before) // 2])
        code = self.start("tried", resume=True).wait()
        path.write_bytes(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if code == 0 or path.name not in self.tail("tried"):
            raise FailedError(f"{path.name} was changed and not refused:\n{self.tail('tried')}")
        self.happened["a changed image refused"] += 1

    def tail(self, run: str) -> str:
        """Give the last that a run said."""
        return (self.folder / f"{run}.txt").read_bytes()[-3000:].decode(errors="replace")


def _kill_all(launcher: subprocess.Popen[bytes]) -> None:
    """Kill a launcher and what it started, which has sessions of its own and would train on without it."""
    launcher.send_signal(signal.SIGSTOP)  # it starts no more of them
    training = _children(launcher.pid)
    for leader in (*training, launcher.pid):
        with suppress(ProcessLookupError):  # it had ended
            os.killpg(leader, signal.SIGKILL)
    launcher.wait()
    while any(_command_of(process) for process in training):  # dead ones have none
        time.sleep(0.1)


def _children(launcher: int) -> list[int]:
    """The processes that train: children of the launcher, in the order of their ranks."""
    try:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    training = [int(child) for child in children if b"knowclip.cli" in _command_of(int(child))]
    return sorted(training)


def _command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def losses(run: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}


def differences(one: Path, other: Path) -> tuple[float, float]:
    """Largest differences between the weights, and between the losses of a step."""
    from safetensors.torch import load_file

    name = "last/trainer/method.safetensors"
    weights, others = load_file(one / name), load_file(other / name)
    if weights.keys() != others.keys() or losses(one).keys() != losses(other).keys():
        raise FailedError("the two runs have other tensors or other steps")
    of_weights = max((value - others[key]).abs().max().item() for key, value in weights.items())
    return of_weights, max(abs(loss - losses(other)[step]) for step, loss in losses(one).items())


def soak(folder: Path, *, minutes: float, steps: int, seed: int) -> tuple[float, float]:
    """Both runs; what happened is printed."""
    begun = time.monotonic()
    write_world(folder / "world", seed=seed)
    both = Soak(folder, steps=steps, random=random.Random(seed))
    alone = both.undisturbed()
    print(f"undisturbed: {steps} steps in {alone:.0f} s", flush=True)
    # the last attempt must have the time to start up and end
    until, found = begun + 60 * minutes - alone, [0.0, 0.0]
    while True:
        both.disturbed(until=until, longest=LONGEST * alone)
        found = list(map(max, found, differences(folder / "calm", folder / "tried")))
        both.happened["runs that ended"] += 1
        if time.monotonic() >= until:
            break
        rmtree(folder / "tried")  # time is left for another
    print(f"disturbed: {time.monotonic() - begun - alone:.0f} s", flush=True)
    for what, times in sorted(both.happened.items()):
        print(f"  {what}: {times}")
    text = (folder / "tried.txt").read_text(errors="replace")
    print(f"  went on from a former checkpoint: {text.count('The run goes on from last-')}")
    print(f"  images skipped: {len(set(_skipped(text)))} of {BROKEN}")
    return found[0], found[1]


def _skipped(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("skipped: ")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="of both runs together")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and damages")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--folder", type=Path, help="keep world, runs and their output there")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        try:
            found = soak(folder, minutes=given.minutes, steps=given.steps, seed=given.seed)
        except FailedError as failed:
            print(failed)
            return 1
    print(f"largest difference: weights {found[0]:.3g}, losses {found[1]:.3g}")
    return int(max(found) > given.tolerance)


if __name__ == "__main__":
    sys.exit(main())
