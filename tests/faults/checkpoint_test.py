"""Checkpoints that are damaged, torn, or of something else are refused before anything is computed from them."""

import struct
import zlib

import h5py

import runs

RANKS = (0, 2, 3)  # 0: one rank without a launcher


class Damage(runs.RunTest):
    train_samples = 500
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.run_folder = cls.train_for_all(ranks=2, train_max_steps=2)
        for other in (cls.run_folder / "checkpoints").glob("*.h5"):  # nothing else to go on from
            if other != runs.newest_checkpoint(cls.run_folder):
                other.unlink()
        cls.whole = runs.newest_checkpoint(cls.run_folder).read_bytes()
        cls.file = runs.newest_checkpoint(cls.run_folder)

    def tearDown(self):
        self.file.write_bytes(self.whole)

    def check_refused(self, *fragments):
        for command in ("verify", "inspect"):
            self.expect_failure(runs.switchyard(command, self.file), 3, *fragments, kind="DataError")
        self.expect_failure(runs.switchyard("diff", self.file, self.file), 3, *fragments, kind="DataError")
        for count in RANKS:
            with self.subTest(ranks=count):
                self.expect_failure(runs.switchyard("eval", self.file, ranks=count), 3, *fragments,
                                    kind="DataError")
                finished = runs.switchyard("resume", self.run_folder, "--train.max_steps=4", ranks=count)
                self.expect_failure(finished, 3, "there is no whole checkpoint", kind="DataError")

    def places(self):
        """Name -> offset: where the file keeps what."""
        with h5py.File(self.file, "r") as file:
            data_sets = []
            file.visititems(lambda _, item: data_sets.append(item) if isinstance(item, h5py.Dataset) else None)
            used = [(d.id.get_offset(), d.id.get_storage_size()) for d in data_sets if d.id.get_offset()]
            # Offsets count from the start of the file, the user block included.
            weight = file["parameters/gate/dense_1/weight"].id
            data = weight.get_offset() + weight.get_storage_size() // 2
            header = 512 + h5py.h5o.get_info(file["parameters/experts/0003/dense_1/weight"].id).addr + 6
        first = min(offset for offset, _ in used)
        covered = sorted(used)
        gap = next((a + n for (a, n), (b, _) in zip(covered, covered[1:]) if a + n < b), first - 1)
        return {"user block": 20, "padding of the user block": 300, "superblock": 512 + 20, "object header": header,
                "data": data, "gap": gap, "last byte": len(self.whole) - 1}

    def test_one_flipped_bit(self):
        places = self.places()
        for name, offset in places.items():
            with self.subTest(place=name, offset=offset):
                content = bytearray(self.whole)
                content[offset] ^= 1
                self.file.write_bytes(content)
                self.check_refused(str(self.file))

    def test_truncated(self):
        for size in (len(self.whole) - 1, len(self.whole) // 2, 512, 100, 0):
            with self.subTest(size=size):
                self.file.write_bytes(self.whole[:size])
                self.check_refused(str(self.file))

    def test_another_schema(self):
        # The version stands at byte 8 of the user block, whose own checksum at byte 508 is right.
        block = bytearray(self.whole[:512])
        block[8:12] = struct.pack("<I", 99)
        block[508:512] = struct.pack("<I", zlib.crc32(block[:508]))
        self.file.write_bytes(block + self.whole[512:])
        self.check_refused("schema version 99")

    def test_no_checkpoint_at_all(self):
        self.file.write_text("epoch,loss\n1,0.5\n" * 100)
        self.check_refused("another kind of file")

    def test_another_model(self):
        """The configuration in the file tells of another model than its arrays."""

        def widen(file):
            text = file["config"][()].decode().replace("dense:64", "dense:48")
            del file["config"]
            file.create_dataset("config", data=text.encode(), dtype=h5py.string_dtype("utf-8", len(text)))

        runs.edit_checkpoint(self.file, widen)
        stored = self.run_folder / "config.ini"  # edited alike: the two are compared first
        text = stored.read_text()
        self.addCleanup(stored.write_text, text)
        stored.write_text(text.replace("dense:64", "dense:48"))
        self.expect(runs.switchyard("verify", self.file), 0)
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                self.expect_failure(runs.switchyard("eval", self.file, ranks=ranks), 3,
                                    "parameters/gate/dense_1/weight", "392 x 64", kind="DataError")
                finished = runs.switchyard("resume", self.run_folder, "--train.max_steps=4", ranks=ranks)
                self.expect_failure(finished, 3, "parameters/gate/dense_1/weight", kind="DataError")

    def test_an_array_is_missing(self):
        def remove(file):
            del file["parameters/experts/0002"]

        runs.edit_checkpoint(self.file, remove)
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                self.expect_failure(runs.switchyard("eval", self.file, ranks=ranks), 3, "parameters/experts/0002",
                                    kind="DataError")

    def test_another_data_set(self):
        """Images of another size than the model was trained on."""
        other = self.new_path("data")
        runs.write_data_set(other, self.train_samples, self.test_samples, side=20)
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                finished = runs.switchyard("eval", self.file, f"--data.dir={other}", ranks=ranks)
                self.expect_failure(finished, 3, "1 x 20 x 20", "1 x 16 x 16", kind="DataError")


if __name__ == "__main__":
    runs.main()
