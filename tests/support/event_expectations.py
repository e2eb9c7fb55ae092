"""What the event files of a run must say, from its metrics.jsonl: (tag, step) -> a number, bars, or the shades of a table."""

import datetime
import json
import math
import pathlib

import numpy

OF_MODEL = {"loss", "task_loss", "error", "gradient_norm", "learning_rate"}
PLACES = {"kind", "split", "step", "epoch", "samples", "layers", "time", "domains", "name"}


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def value_of(value):
    if isinstance(value, list):
        return shades_of(value) if value and isinstance(value[0], list) else [float(x) for x in value]
    return math.nan if value is None else float(value)


def shades_of(table):
    counts = numpy.array(table, float)
    whole = counts.sum(1, keepdims=True)
    return numpy.floor(255 * counts / numpy.where(whole > 0, whole, 1) + 0.5).astype(numpy.uint8)


def group_of(name, is_step, split, value):
    if not is_step:
        return split
    if isinstance(value, list):
        return "experts"
    return "train" if name in OF_MODEL or name.endswith("_loss") else "gate"


def of_record(record):
    """tag -> value."""
    found = {}
    is_step = record["kind"] == "step"
    split = record.get("split")

    def take(members, suffix):
        for name, value in members.items():
            if name in PLACES or (name.endswith("_loss") and name != "task_loss" and value == 0):
                continue
            if name == "dead_experts":
                value = len(value)
            found[f"{group_of(name, is_step, split, value)}/{name}{suffix}"] = value_of(value)

    take(record, "")
    for layer in record.get("layers", []):
        take(layer, "/" + layer["name"])
    for name, value in record["time"].items():
        if name != "at":
            found[f"time/{name}" if is_step else f"{split}/time/{name}"] = float(value)
    return found


def of_run(run):
    """(step, kind) -> (seconds since 1970, tag -> value), of each record."""
    lines = (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()
    return {(record["step"], record["kind"]): (seconds_of(record["time"]["at"]), of_record(record))
            for record in map(json.loads, lines)}
