"""What `switchyard predict` has written."""

import csv
import pathlib
import re

import numpy

from .errors import ReadError
from .files import ARRAYS, Arrays, open_hdf5

# Columns of a .csv file, and the array that each is, or is a column of.
_WHOLE = {"id": "ids", "label": "labels", "prediction": "prediction"}
_COLUMNS = {"probability": "probabilities", "expert": "experts", "gate_weight": "gate_weights",
            "label": "labels", "prediction": "prediction"}  # the last two of several real numbers
_FLOATS = {"probabilities", "gate_weights"}


def read_predictions(file):
    """The arrays of a .h5 or .csv file by name: ids, prediction, probabilities and so on, the same from both."""
    file = pathlib.Path(file)
    if file.suffix == ".csv":
        return _of_table(file)
    if file.suffix != ".h5":
        raise ReadError(f"{file} is no file of predictions (`switchyard predict` writes .h5 and .csv); give one of these")
    with open_hdf5(file, ARRAYS, "a file that `switchyard predict` wrote") as opened:
        arrays = Arrays(opened, "")
        if "prediction" not in arrays:
            raise ReadError(f"{file} holds no predictions (it is of another command); give one that `switchyard predict` wrote")
        return {name: values for name, values in arrays.items() if numpy.ndim(values)}


def _of_table(file):
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            rows = csv.reader(opened)
            header, rows = next(rows, []), list(rows)
    except (OSError, ValueError) as error:
        raise ReadError(f"cannot read {file} ({error}); give a file that `switchyard predict` wrote") from None
    names = [_name_of(column) for column in header]
    if None in names or "prediction" not in names or any(len(row) != len(header) for row in rows):
        raise ReadError(f"{file} is no table of predictions (its columns are others); give one that `switchyard predict` wrote")
    types = {name: numpy.float32 if name in _FLOATS else numpy.int64 for name in names}
    if "probabilities" not in names:  # labels are real numbers
        types["labels"] = types["prediction"] = numpy.float64
    columns = {name: [] for name in names}
    for name, *values in zip(names, *rows):
        columns[name].append(numpy.array(values).astype(types[name]))
    flat = set(_WHOLE[column] for column in header if column in _WHOLE)
    return {name: of[0] if name in flat else numpy.stack(of, 1) for name, of in columns.items()}


def _name_of(column):
    numbered = re.fullmatch(r"(\w+)_\d+", column)
    return _COLUMNS.get(numbered[1]) if numbered else _WHOLE.get(column)
