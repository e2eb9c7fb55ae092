"""metrics.jsonl as records and as tables: docs/metrics.md says what each name means."""

import json
import math

import numpy

from .errors import ReadError

# Lists whose length says something: one object of a table, and no columns.
WHOLE = {"dead_experts", "domains"}


def records_of(file):
    """The objects of metrics.jsonl, in order. A last line that was torn off in the midst is left out."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ReadError(f"cannot read {file} ({error.strerror}); check the run folder") from None
    records = []
    for number, line in enumerate(lines, start=1):
        record = _record(line) if line else None
        if record is not None:
            records.append(record)
        elif line and number < len(lines):
            raise ReadError(f"line {number} of {file} is no record of a run (it was cut off or changed, and is not the last line); "
                            "go on with the run by `switchyard resume`, which takes such lines out, or take the line out yourself")
    return records


def table(records, pandas_for):
    """A pandas.DataFrame with a row for each record. `pandas_for` names the call, for messages."""
    try:
        import pandas
    except ImportError:
        raise ReadError(f"{pandas_for} is a pandas.DataFrame, and pandas is not installed; `pip install pandas`, or use "
                        "run.records(kind), which gives the objects of metrics.jsonl") from None
    return pandas.DataFrame([flat(record) for record in records])


def flat(record):
    """One level of names: time.step, load_0, and of each of several mixture layers blocks/00/mixture.load_0."""
    columns = {}
    for name, value in record.items():
        if name == "kind":
            continue
        if name == "layers":
            for layer in value:
                of_layer = {member: of for member, of in layer.items() if member != "name"}
                columns.update({f"{layer['name']}.{member}": of for member, of in flat(of_layer).items()})
        elif isinstance(value, dict):
            columns.update({f"{name}.{member}": of for member, of in flat(value).items()})
        elif isinstance(value, list) and name not in WHOLE and not any(isinstance(of, list) for of in value):
            columns.update({f"{name}_{place}": _number(of) for place, of in enumerate(value)})
        else:
            columns[name] = numpy.array(value) if isinstance(value, list) else _number(value)
    return columns


def _record(line):
    try:
        record = json.loads(line)
    except ValueError:
        return None
    is_one = isinstance(record, dict) and isinstance(record.get("kind"), str)
    step = record.get("step") if is_one else None
    is_number = isinstance(step, (int, float)) and not isinstance(step, bool)
    return record if is_number and math.isfinite(step) else None


def _number(value):
    """JSON has null for what is not finite."""
    return math.nan if value is None else value
