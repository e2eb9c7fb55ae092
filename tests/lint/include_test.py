"""The includes of src/ keep to the table of rooms, and vendor headers to their places; planted offences are found."""

import pathlib
import sys
import tempfile
import unittest

import rules

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()


class Sources(unittest.TestCase):
    def test_include_only_what_they_may(self):
        self.assertGreater(len(rules.source_files(ROOT / "src")), 10, "no sources found: wrong folder?")
        self.assertEqual(rules.findings(ROOT / "src", rules.INCLUDE_RULES), [])

    def test_have_no_room_without_an_entry(self):
        rooms = {p.name for p in (ROOT / "src").iterdir() if p.is_dir()} - {"cmake"}
        self.assertEqual(rooms, {room for room in rules.ALLOWED if "/" not in room})

    def test_table_has_no_cycle(self):
        for room, lower in rules.ALLOWED.items():
            for other in lower:
                self.assertNotIn(room, rules.ALLOWED[other], f"{room} and {other} may include each other")


class Planted(unittest.TestCase):
    """Each offence alone in a tree of its own: exactly it must be found."""

    def findings(self, path, line, pragma="#pragma once\n"):
        with tempfile.TemporaryDirectory() as root:
            file = pathlib.Path(root) / path
            file.parent.mkdir(parents=True)
            file.write_text(pragma + line + "\n")
            return rules.findings(root, rules.INCLUDE_RULES)

    def assert_found(self, path, line, words):
        found = self.findings(path, line)
        self.assertEqual(len(found), 1, f"{path}: {line} gave {found}")
        self.assertIn(words, found[0])
        self.assertTrue(found[0].startswith(f"{path}:2: "), found[0])

    def assert_clean(self, path, line):
        self.assertEqual(self.findings(path, line), [])

    def test_an_upward_include_is_found(self):
        self.assert_found("base/a.hpp", '#include "config/schema.hpp"', "base may not include config")
        self.assert_found("ops/kernels/a.hpp", '#include "nn/layer.hpp"', "ops may not include nn")
        self.assert_found("comm/mpi/a.cpp", '#include "tensor/view.hpp"', "comm/mpi may not include tensor")
        self.assert_found("moe/a.cpp", '  #  include "run/loop.hpp"', "moe may not include run")
        self.assert_found("train/a.cpp", '#include "cli/main.hpp"', "train may not include cli")
        self.assert_found("model/a.cpp", '#include "data/dataset.hpp"', "model may not include data")
        self.assert_found("console/a.cpp", '#include "run/summary.hpp"', "console may not include run")
        self.assert_found("report/a.cpp", '#include "moe/placement.hpp"', "report may not include moe")

    def test_a_room_within_a_room_is_fenced(self):
        self.assert_found("nn/a.cpp", '#include "ops/moe/gating.hpp"', "nn may not include ops/moe")
        self.assert_found("ops/a.cpp", '#include "ops/moe/gating.hpp"', "ops may not include ops/moe")
        self.assert_found("comm/a.cpp", '#include "comm/mpi/mpi_session.hpp"', "comm may not include comm/mpi")
        self.assert_found("optim/a.cpp", '#include "comm/mpi/mpi_session.hpp"', "optim may not include comm/mpi")
        self.assert_found("ops/moe/a.cpp", '#include "nn/layer.hpp"', "ops/moe may not include nn")
        self.assert_clean("ops/moe/kernels/a.hpp", '#include "ops/detail/expect_shape.hpp"')
        self.assert_clean("moe/a.cpp", '#include "ops/moe/gating.hpp"')

    def test_the_path_of_a_batch_knows_the_planes_of_comm_only(self):
        for room in ("nn", "moe", "model", "train"):
            for header in ("comm/host_data_plane.hpp", "comm/watchdog.hpp"):
                self.assert_found(f"{room}/a.cpp", f'#include "{header}"', f"{room} knows of comm only")
            self.assert_clean(f"{room}/a.cpp", '#include "comm/data_plane.hpp"')
        self.assert_found("nn/a.cpp", '#include "comm/resources.hpp"', "nn knows of comm only comm/data_plane.hpp")
        self.assert_clean("moe/a.cpp", '#include "comm/resources.hpp"')
        self.assert_clean("run/a.cpp", '#include "comm/watchdog.hpp"')
        for call in ("communicator.all_to_all_rows<float>(x", "  communicator_->all_gather_rows<T>(x",
                     "resources_.communicator.all_gather_rows(x"):
            self.assert_found("moe/a.cpp", call, "rows of a batch go over the data plane")
            self.assert_clean("checkpoint/a.cpp", call)
        self.assert_clean("moe/a.cpp", "data_plane_->all_to_all_rows<float>(context, x")
        self.assert_clean("train/a.cpp", "communicator.all_reduce_sum(x)")

    def test_a_downward_include_is_not(self):
        self.assert_clean("moe/a.cpp", '#include "nn/layer.hpp"')
        self.assert_clean("train/a.cpp", '#include "data/dataset.hpp"')
        self.assert_clean("cli/a.cpp", '#include "run/loop.hpp"')
        self.assert_clean("data/a.cpp", "#include <zlib.h>")
        self.assert_clean("data/a.cpp", '#include "checkpoint/checkpoint.hpp"')
        self.assert_clean("data/a.cpp", '// #include "moe/layer.hpp"')

    def test_every_vendor_header_is_found_outside_its_place(self):
        for header in ["mpi.h", "nccl.h", "cuda_runtime.h", "cuda.h", "nvtx3/nvToolsExt.h", "cooperative_groups.h", "cublas_v2.h", "dnnl.hpp",
                       "oneapi/dnnl/dnnl.hpp", "hdf5.h", "H5public.h", "boost/program_options.hpp", "omp.h", "sentencepiece_trainer.h",
                       "jpeglib.h", "png.h"]:
            self.assert_found("nn/a.cpp", f"#include <{header}>", f"{header} may only be included in")

    def test_a_vendor_header_next_to_its_place_is_found(self):
        self.assert_found("comm/a.cpp", "#include <mpi.h>", "comm/mpi/")
        self.assert_found("comm/mpi/a.cpp", "#include <nccl.h>", "comm/nccl/")
        self.assert_found("device/a.cpp", "#include <cuda_runtime.h>", "device/cuda/")
        self.assert_found("device/thread_pool.cpp", "#include <omp.h>", "single_threaded_libraries")
        self.assert_found("config/a.cpp", "#include <boost/program_options.hpp>", "cli/")
        self.assert_found("train/a.cpp", "#include <boost/math/distributions/students_t.hpp>", "study/")
        self.assert_found("data/a.cpp", "#include <hdf5.h>", "checkpoint/")
        self.assert_found("data/idx.cpp", "#include <jpeglib.h>", "image_file")

    def test_a_vendor_header_in_its_place_is_not(self):
        for path, header in [("comm/mpi/a.cpp", "mpi.h"), ("comm/nccl/a.cpp", "nccl.h"), ("comm/nccl/a.cpp", "cuda_runtime.h"),
                             ("device/cuda/a.cu", "cuda_runtime.h"), ("ops/a.cpp", "cublas_v2.h"), ("ops/a.cpp", "dnnl.hpp"),
                             ("checkpoint/a.cpp", "hdf5.h"), ("cli/a.cpp", "boost/program_options.hpp"),
                             ("study/a.cpp", "boost/math/distributions/students_t.hpp"),
                             ("device/single_threaded_libraries.cpp", "omp.h"), ("data/a.cpp", "sentencepiece_trainer.h"),
                             ("data/detail/image_file.cpp", "jpeglib.h"), ("data/detail/image_file.cpp", "png.h")]:
            self.assert_clean(path, f"#include <{header}>")

    def test_private_and_badly_named_headers_are_found(self):
        self.assert_found("train/a.cpp", '#include "data/detail/sample_source.hpp"', "private to data")
        self.assert_clean("data/a.cpp", '#include "data/detail/sample_source.hpp"')
        self.assert_found("data/a.cpp", '#include "dataset.hpp"', "names no room")
        self.assert_found("data/a.cpp", '#include "../base/error.hpp"', "names no room")
        self.assert_found("data/a.cpp", "#include <base/error.hpp>", "a header of ours")

    def test_an_unknown_room_and_a_missing_guard_are_found(self):
        self.assertIn("no room of the table", self.findings("misc/a.hpp", "")[0])
        self.assertIn("no #pragma once", self.findings("base/a.hpp", "", pragma="")[0])


if __name__ == "__main__":
    unittest.main()
