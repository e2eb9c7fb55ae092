"""HDF5 files as the program writes them: a block of 512 bytes in front says what the file is and how long."""

import collections.abc
import difflib
import pathlib
import struct
import zlib

import h5py
import numpy

from .errors import ReadError

CHECKPOINT, ARRAYS = b"SYCKPT\r\n", b"SYARRS\r\n"
_BLOCK_BYTES = 512


def open_hdf5(file, mark, what):
    """An h5py.File whose first bytes are `mark` and which is as long as it says. `what` it should be, for messages."""
    file = pathlib.Path(file)
    try:
        with file.open("rb") as opened:
            block = opened.read(_BLOCK_BYTES)
        size = file.stat().st_size
    except OSError as error:
        raise ReadError(f"cannot read {file} ({error.strerror}); give {what}") from None
    if block[:8] != mark:
        raise ReadError(f"{file} is not {what} (its first bytes are others); give a file that the program wrote")
    if len(block) < _BLOCK_BYTES or struct.unpack("<I", block[508:])[0] != zlib.crc32(block[:508]):
        raise ReadError(f"{file} is damaged (its first block is another one than was written); give another file")
    [said] = struct.unpack("<Q", block[16:24])
    if said != size:
        raise ReadError(f"{file} is damaged (it has {size} bytes, and {said} were written); give another file")
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise ReadError(f"{file} is damaged (HDF5 says: {error}); give another file") from None


class Arrays(collections.abc.Mapping):
    """Names -> NumPy arrays below a group of a file, each read when it is asked for and compared with its checksum."""

    def __init__(self, file, prefix, names=None):
        self._file, self._prefix = file, prefix
        self._names = dict.fromkeys(_names_below(file, prefix) if names is None else names)

    def under(self, prefix):
        """Those below a leading part of their names, without it: under("gate")["dense_1/weight"]."""
        start = prefix.rstrip("/") + "/"
        return Arrays(self._file, self._prefix + start, [name[len(start):] for name in self._names if name.startswith(start)])

    def __getitem__(self, name):
        if name not in self._names:
            near = difflib.get_close_matches(str(name), self._names, n=1)
            raise KeyError(f"no array {name}" + (f"; did you mean {near[0]}?" if near else ""))
        return _checked(self._file[self._prefix + name])

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)

    def __repr__(self):
        return "\n".join(f"{name} {self._file[self._prefix + name].shape}" for name in self._names) or "no arrays"


def _names_below(file, prefix):
    names = []
    group = prefix or "/"
    if group in file:
        file[group].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _checked(dataset):
    value = dataset[()]
    if isinstance(value, bytes):
        raw, value = value, value.decode(errors="replace")
    else:
        raw = numpy.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()
    if "crc32" in dataset.attrs and zlib.crc32(raw) != int(dataset.attrs["crc32"]):
        raise ReadError(f"{dataset.name} of {dataset.file.filename} is damaged (its checksum is another one); take an earlier "
                        "checkpoint, such as run.checkpoint(step)")
    return value
