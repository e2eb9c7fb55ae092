"""Checkpoints that somebody crafted, behind a digest that is right: refused with a sentence, by every command."""

import re
import struct

import h5py
import numpy

import runs

WEIGHT = "parameters/gate/dense_1/weight"
NOT_OURS = "is not as this program writes it"


def lookup3(data):
    """Bob Jenkins' hash, with which HDF5 covers its own blocks."""
    mask = 0xFFFFFFFF
    rotated = lambda x, k: ((x << k) | (x >> (32 - k))) & mask
    a = b = c = (0xDEADBEEF + len(data)) & mask
    while True:
        part, data = data[:12], data[12:]
        words = struct.unpack("<3I", part.ljust(12, b"\0"))
        a, b, c = (a + words[0]) & mask, (b + words[1]) & mask, (c + words[2]) & mask
        if not data:
            break
        for shift in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & mask) ^ rotated(c, shift)
            c = (c + b) & mask
            a, b, c = b, c, a
    for shift in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - rotated(b, shift)) & mask
        a, b, c = b, c, a
    return b  # turned once more after the last step


def replaced(file, name, **options):
    """Makes a data set anew with the same values and attributes, unless `options` say otherwise."""
    old = file[name]
    options = {"shape": old.shape, "dtype": old.dtype, "data": old[()] if "data" not in options else None, **options}
    attributes = dict(old.attrs)
    del file[name]
    if options["data"] is None:
        del options["data"]
    made = file.create_dataset(name, **options)
    for key, value in attributes.items():
        made.attrs[key] = value
    return made


def attribute(name, value, path=WEIGHT):
    def change(file):
        if name in file[path].attrs:
            del file[path].attrs[name]
        file[path].attrs[name] = value

    return change


class HostileCheckpoint(runs.RunTest):
    train_samples = 500
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config, cls.run_folder = cls.train_for_all(train_max_steps=2)
        cls.file = runs.newest_checkpoint(cls.run_folder)
        for other in (cls.run_folder / "checkpoints").glob("*.h5"):  # nothing else to go on from
            if other != cls.file:
                other.unlink()
        cls.whole = cls.file.read_bytes()
        cls.outside = cls.new_path("outside")
        cls.outside.write_bytes(bytes(1 << 20))

    def tearDown(self):
        self.file.write_bytes(self.whole)

    def craft(self, change):
        self.file.write_bytes(self.whole)
        with h5py.File(self.file, "r+") as opened:
            change(opened)
        runs.seal_checkpoint(self.file)

    def check_refused(self, *fragments):
        """verify and inspect read all of a file; the others stop at the same place."""
        for command in ("verify", "inspect"):
            finished = runs.switchyard(command, self.file)
            self.expect_failure(finished, 3, str(self.file), NOT_OURS, *fragments, kind="DataError")

    def test_every_command(self):
        self.craft(attribute("crc32", numpy.full(4096, 0x41414141, "<u4")))
        self.check_refused(WEIGHT, "crc32")
        for arguments in (("eval", self.file), ("diff", self.file, self.file),
                          ("train", self.config, f"--init.from={self.file}", f"--run.dir={self.new_path()}")):
            finished = runs.switchyard(*arguments)
            self.expect_failure(finished, 3, str(self.file), WEIGHT, "crc32", kind="DataError")
        self.expect_failure(runs.switchyard("resume", self.run_folder, "--train.max_steps=4", ranks=2), 3,
                            kind="DataError")

    def test_objects(self):
        """Name -> (change of the file, what the sentence says)."""
        def external(file):
            size = file[WEIGHT].size * 4
            replaced(file, WEIGHT, data=None, external=[(str(self.outside), 0, size)])

        def compact(file):
            kept = dict(file["state/step"].attrs)
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_layout(h5py.h5d.COMPACT)
            del file["state/step"]
            made = h5py.Dataset(h5py.h5d.create(file.id, b"state/step", h5py.h5t.STD_I64LE,
                                                h5py.h5s.create(h5py.h5s.SCALAR), create))
            made[()] = 2
            for key, value in kept.items():
                made.attrs[key] = value

        def virtual(file):
            shape = file[WEIGHT].shape
            layout = h5py.VirtualLayout(shape=shape, dtype="<f4")
            layout[:] = h5py.VirtualSource(str(self.outside), "x", shape=shape)
            del file[WEIGHT]
            file.create_virtual_dataset(WEIGHT, layout)

        def linked(link):
            def change(file):
                del file[WEIGHT]
                file[WEIGHT] = link

            return change

        def named_type(file):
            file["parameters/type"] = numpy.dtype("<f4")

        def two_names(file):
            file["parameters/twin"] = file[WEIGHT]

        def circle(file):
            file["parameters/circle"] = file["/"]

        def deep(file):
            file.create_group("g/" * 1000)

        cases = {
            "attribute of another type": (attribute("crc32", numpy.float64(1)), WEIGHT, "crc32"),
            "attribute of text": (attribute("crc32", "x" * 60000), WEIGHT),
            "mark as an array": (attribute("header", numpy.zeros(4096, "u1"), "state/step"), "state/step", "header"),
            "foreign attribute": (attribute("note", 1), WEIGHT, "note"),
            "array marked as a number": (attribute("header", numpy.uint8(1)), WEIGHT, "marked as one number"),
            "external": (external, WEIGHT, "message of type 7"),
            "chunked": (lambda f: replaced(f, WEIGHT, chunks=(1, 1)), WEIGHT),
            "compressed": (lambda f: replaced(f, WEIGHT, compression="gzip"), WEIGHT),
            "compact": (compact, "state/step", "its kind of layout is 0"),
            "virtual": (virtual, WEIGHT),
            "soft link": (linked(h5py.SoftLink("/config")), "the kind of a link is 1"),
            "external link": (linked(h5py.ExternalLink(str(self.outside), "/x")), "the kind of a link is 64"),
            "named type": (named_type, "parameters/type"),
            "two names": (two_names, "message of type 22"),
            "circle": (circle, "message of type 22"),
            "deep": (deep, "below 16 others"),
            "big-endian": (lambda f: replaced(f, WEIGHT, dtype=">f4"), WEIGHT, "none of float32"),
            "number of another size": (lambda f: replaced(f, WEIGHT, dtype="<f2"), WEIGHT, "none of float32"),
            "text of any size": (lambda f: replaced(f, "config", dtype=h5py.string_dtype()), "config"),
            "terabytes": (lambda f: replaced(f, WEIGHT, shape=(1 << 40,), data=None), WEIGHT, "not in the file"),
            "more elements than any file has": (lambda f: replaced(f, WEIGHT, shape=(1 << 25, 1 << 25), data=None), WEIGHT, "too many"),
            "dimensions that may grow": (lambda f: replaced(f, WEIGHT, maxshape=(None, None)), WEIGHT),
            "long name": (lambda f: f["parameters"].create_group("n" * 5000), "5000 bytes"),
            "name that moves a cursor": (lambda f: f["parameters"].create_group("\x1b[2J"), "name of a link"),
        }
        for name, (change, *fragments) in cases.items():
            with self.subTest(case=name):
                self.craft(change)
                self.check_refused(*fragments)

    def test_old_format(self):
        with h5py.File(self.file, "w", userblock_size=512) as file:
            file["a"] = 1
        runs.seal_checkpoint(self.file)
        self.check_refused("HDF")

    def test_headers_that_claim_too_much(self):
        """Addresses and sizes in the header of an array, with its checksum made right."""
        at = 512 + self.address_of(WEIGHT)
        self.assertEqual(self.whole[at + 5] & 3, 1)  # the size of the header has two bytes
        chunk = self.whole[at : at + 8 + struct.unpack_from("<H", self.whole, at + 6)[0]]
        layout = re.search(rb"\x08\x12\x00.\x04\x01", chunk, re.DOTALL).start() + 6
        there, bytes_there = struct.unpack_from("<QQ", chunk, layout)
        cases = {
            "address past the end": (1 << 40, bytes_there, "address"),
            "address that wraps": ((1 << 64) - 2, bytes_there, "address"),
            "size past the end": (there, 1 << 62, "its shape and type have"),
            "address near the end": (len(self.whole) - 512 - 4, bytes_there, "the file has"),
            "address of another block": (0, bytes_there, "two blocks or arrays"),
        }
        for name, (address, count, *fragments) in cases.items():
            with self.subTest(case=name):
                changed = bytearray(chunk)
                struct.pack_into("<QQ", changed, layout, address, count)
                content = bytearray(self.whole)
                content[at : at + len(changed) + 4] = changed + struct.pack("<I", lookup3(bytes(changed)))
                self.file.write_bytes(content)
                runs.seal_checkpoint(self.file)
                self.check_refused(*fragments)

    def test_a_wrong_checksum_inside(self):
        content = bytearray(self.whole)
        content[512 + self.address_of(WEIGHT) + 9] ^= 1
        self.file.write_bytes(content)
        runs.seal_checkpoint(self.file)
        self.check_refused("checksum")

    def address_of(self, path):
        with h5py.File(self.file, "r") as file:
            return h5py.h5o.get_info(file[path].id).addr


if __name__ == "__main__":
    runs.main()
