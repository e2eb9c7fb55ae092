"""Reads what Switchyard writes: runs, checkpoints and predictions, with NumPy and h5py alone.

    run = switchyard_reader.open("runs/one")
    run.steps()                                # a pandas.DataFrame
    run.checkpoint("best").experts[3]          # arrays by name
    run.model("best").predict(samples)         # what `switchyard predict` writes

docs/python.md is the page of it, docs/checkpoints.md and docs/gates.md say what is computed.
"""

from .checkpoint import Checkpoint
from .config import Config
from .errors import ReadError
from .model import Model
from .predictions import read_predictions
from .run import Run, open, runs
from .version import __version__

__all__ = ["Checkpoint", "Config", "Model", "ReadError", "Run", "__version__", "open", "read_predictions", "runs"]
