"""One checkpoint: arrays by name, and where the run was. docs/checkpoints.md says what stands behind each name."""

import collections.abc
import pathlib

from .config import Config
from .errors import ReadError
from .files import CHECKPOINT, Arrays, open_hdf5
from .model import Model


class Checkpoint:
    """A checkpoint's file. It stays open, so that arrays are read when they are asked for, also if the run removes it meanwhile.

    parameters, buffers, optimiser and statistics map names to NumPy arrays; `under("gate")` is a part of them. state maps names
    to numbers (step, epoch and so on), data what the run knew of its samples.
    """

    def __init__(self, file):
        self.path = pathlib.Path(file)
        self._file = open_hdf5(file, CHECKPOINT, "a checkpoint, such as RUN/checkpoints/step-0000100.h5")
        self.parameters = Arrays(self._file, "parameters/")
        self.buffers = Arrays(self._file, "buffers/")
        self.optimiser = Arrays(self._file, "optimizer/")
        self.statistics = Arrays(self._file, "statistics/")
        self.data = Arrays(self._file, "data/")
        self.state = {name: value.item() if hasattr(value, "item") else value
                      for name, value in Arrays(self._file, "state/").items()}
        if "config" not in self._file:
            raise ReadError(f"{self.path} holds no configuration (it is damaged, or of another program); give another checkpoint")
        self.config = Config.of_text(Arrays(self._file, "")["config"], f"the configuration in {self.path}")

    @property
    def step(self):
        """Finished steps."""
        return self.state["step"]

    @property
    def gate(self):
        """The parameters of the gate of a mixture."""
        self._expect_one_mixture("gate")
        return self.parameters.under("gate")

    @property
    def experts(self):
        """The parameters of each expert of a mixture: experts[3]["dense_1/weight"]."""
        self._expect_one_mixture("experts")
        return Experts(self.parameters, self.config["moe.experts"])

    def model(self, settings=None):
        """What predicts. `settings` are keys that an evaluation may set otherwise: {"moe.top_k": 1}."""
        return Model(self, settings)

    def _expect_one_mixture(self, what):
        if self.config["model.family"] != "mixture":
            raise ReadError(f"model.family = {self.config['model.family']} may have several mixture layers, each with {what} of "
                            f'its own; take such as checkpoint.parameters.under("blocks/00/mixture/{what}")')

    def __repr__(self):
        return f"{self.path}: step {self.step}, {len(self.parameters)} arrays of parameters"


class Experts(collections.abc.Sequence):
    def __init__(self, parameters, count):
        self._parameters, self._count = parameters, count

    def __getitem__(self, expert):
        if not 0 <= expert < self._count:
            raise IndexError(f"no expert {expert}: they are 0 to {self._count - 1}")
        return self._parameters.under(f"experts/{expert:04}")

    def __len__(self):
        return self._count
