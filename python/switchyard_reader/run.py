"""Run folders."""

import json
import os
import pathlib
import re

from .checkpoint import Checkpoint
from .config import Config
from .errors import ReadError, one_of
from .metrics import records_of, table

SPLITS = ("train", "validation", "test")
_STEP_FILE = re.compile(r"step-(\d+)\.h5")


def open(path):
    """A Run of a run folder, or a Checkpoint of a file."""
    path = pathlib.Path(path)
    return Run(path) if path.is_dir() or not path.exists() else Checkpoint(path)


class Run:
    """A run folder. Files are read when they are asked for, so a run that goes on shows what it has come to."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        if not self.path.is_dir() or not (_holds_run(self.path) or self.checkpoints):
            why = "it does not exist" if not self.path.exists() else "it has neither a config.ini nor checkpoints"
            raise ReadError(f"there is no run in {self.path} ({why}); give the folder that `switchyard train` made")

    @property
    def config(self):
        """config.ini: run.config["moe.top_k"]."""
        file = self.path / "config.ini"
        return Config.of_text(_text(file), file)

    @property
    def summary(self):
        """summary.json, or None while there is none."""
        return _summary(self.path)

    def records(self, kind):
        """The objects of metrics.jsonl of a kind, "step" or "evaluation"."""
        return [record for record in records_of(self.path / "metrics.jsonl") if record["kind"] == kind]

    def steps(self):
        """A pandas.DataFrame with a row for each training step."""
        return table(self.records("step"), "run.steps()")

    def evaluations(self, split=None):
        """A pandas.DataFrame with a row for each evaluation during the run, of all splits or of one.

        (What the run ended with is in run.summary["test"] and so on.)
        """
        if split is not None and split not in SPLITS:
            raise ReadError(f"split={split!r} is no split; there are {one_of(SPLITS)}")
        records = self.records("evaluation")
        return table([record for record in records if split in (None, record["split"])], "run.evaluations()")

    @property
    def checkpoints(self):
        """The steps of which there is a checkpoint, ascending."""
        found = (_STEP_FILE.fullmatch(file.name) for file in (self.path / "checkpoints").glob("step-*.h5"))
        return sorted(int(name[1]) for name in found if name)

    def checkpoint(self, which="latest"):
        """The Checkpoint that is "latest" or "best", or of a step."""
        folder, steps = self.path / "checkpoints", self.checkpoints
        there = f"there are those of the steps {', '.join(map(str, steps))}" if steps else "there is none"
        if which in ("latest", "best"):
            name = _text(folder / which).strip() if (folder / which).exists() else ""
            if not _STEP_FILE.fullmatch(name):
                raise ReadError(f"{folder} names no {which} checkpoint ({there}); give a step, or wait until the run has saved one")
            return Checkpoint(folder / name)
        if which not in steps:
            raise ReadError(f"there is no checkpoint {which!r} in {folder} ({there}); give one of these, latest or best")
        return Checkpoint(folder / f"step-{which:07}.h5")

    def model(self, checkpoint="best", settings=None):
        """A Model of a checkpoint: "best", "latest" or a step. `settings` as of Checkpoint.model()."""
        return self.checkpoint(checkpoint).model(settings)

    def __repr__(self):
        return f"{self.path}: {_state(self.path)}, checkpoints {self.checkpoints}"


def runs(folder):
    """The runs below a folder: a list of dicts, for pandas.DataFrame(runs(folder)).

    state is finished, stopped (by an error or a signal), unfinished, failed or skipped (a study leaves the last two), reason
    how it ended; figures are those of summary.json, where it has them.
    """
    if not pathlib.Path(folder).is_dir():
        raise ReadError(f"there is no folder {folder}; give one that holds run folders")
    found = []
    for path, inner, _ in os.walk(folder):
        inner.sort()
        path = pathlib.Path(path)
        state = _state(path)
        if state is None:
            continue
        inner.clear()
        summary = _summary(path) or {}
        figures = {f"{split}_{name}": (summary.get(split) or {}).get(name)
                   for split in ("validation", "test") for name in ("error", "mean_squared_error", "r2", "loss")}
        found.append({"path": path, "state": state, "reason": _reason(path, summary), "steps": summary.get("steps"),
                      "best_step": (summary.get("best") or {}).get("step"), **figures})
    return found


def _holds_run(folder):
    return (folder / "config.ini").is_file() or (folder / "metrics.jsonl").is_file()


def _state(folder):
    """As a study says it; None of a folder that holds no run."""
    if (folder / "failed.json").is_file():
        return "failed"
    if not _holds_run(folder):
        return "skipped" if (folder / "skipped.json").is_file() else None
    code = _ending(_summary(folder)).get("code")
    return {None: "unfinished", 0: "finished"}.get(code, "stopped")


def _reason(folder, summary):
    for name, key in (("failed.json", "message"), ("skipped.json", "reason")):
        if (folder / name).is_file():
            return _object(folder / name).get(key)
    return _ending(summary).get("reason")


def _ending(summary):
    return (summary or {}).get("exit") or {}


def _summary(folder):
    file = folder / "summary.json"
    return _object(file) if file.exists() else None


def _object(file):
    try:
        found = json.loads(_text(file))
    except ValueError as error:
        raise ReadError(f"{file} is no JSON ({error}); `switchyard resume` writes it again") from None
    if not isinstance(found, dict):
        raise ReadError(f"{file} holds no object (it was changed); `switchyard resume` writes it again")
    return found


def _text(file):
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReadError(f"cannot read {file} ({error.strerror}); check the run folder") from None
