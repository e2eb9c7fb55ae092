"""Data of a test's own in, and what `switchyard predict` writes out."""

import h5py
import numpy

import runs


def write_splits(file, data):
    """An HDF5 file of {split: {array: values}}, as data.source = hdf5 reads it."""
    with h5py.File(file, "w") as out:
        for split, arrays in data.items():
            for name, values in arrays.items():
                out[f"{split}/{name}"] = values
    return file


def softmax(x):
    x = numpy.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


class PredictionTest(runs.RunTest):
    def predict(self, run, *arguments, ranks=0, suffix="h5"):
        file = self.new_path(f"predictions.{suffix}")
        self.expect(runs.switchyard("predict", run, f"--out={file}", *arguments, ranks=ranks), 0)
        return file

    def arrays(self, *arguments, **keys):
        with h5py.File(self.predict(*arguments, **keys)) as file:
            return {name: values[()] for name, values in file.items() if values.shape}
