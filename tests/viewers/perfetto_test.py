"""A trace as Perfetto's trace processor reads it: tracks, nesting, sums against metrics.jsonl.

Runs with a Python that has perfetto (with its trace_processor_shell, which that package fetches), h5py and numpy: see
CMakeLists.txt here. tests/cli/trace_test.py checks the same without Perfetto."""

import json
import os

from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig

import runs


def opened(run):
    shell = os.environ.get("SWITCHYARD_TRACE_PROCESSOR") or None
    return TraceProcessor(trace=str(run / "trace.json"), config=TraceProcessorConfig(bin_path=shell))


class Trace(runs.RunTest):
    def test_of_one_rank_and_of_three(self):
        for ranks in (1, 3):
            run = self.train(ranks if ranks > 1 else 0, output_trace="yes", train_max_steps=20)
            processor = opened(run)
            try:
                self.check(processor, run, ranks)
            finally:
                processor.close()

    def check(self, processor, run, ranks):
        errors = {row.name: row.value for row in processor.query("select name, value from stats where severity = 'error' and value > 0")}
        self.assertEqual(errors, {})
        names = [row.name for row in processor.query("select name from process where name like 'rank%' order by pid")]
        self.assertEqual([name.split(" on ")[0] for name in names], [f"rank {rank}" for rank in range(ranks)])
        depths = {(row.category, row.depth) for row in processor.query("select distinct category, depth from slice")}
        self.assertEqual(depths, {("step", 0), ("evaluation", 0), ("checkpoint", 0), ("phase", 1), ("operation", 2)})
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [record for record in records if record["kind"] == "step"]
        sums = processor.query("""
            select step.name as step, phase.name as phase, sum(phase.dur) as ns
            from slice phase join slice step on phase.parent_id = step.id
            join thread_track on step.track_id = thread_track.id join thread using (utid) join process using (upid)
            where phase.category = 'phase' and process.name like 'rank 0 %' group by 1, 2""")
        found = {(row.step, row.phase): row.ns for row in sums}
        for record in steps:
            for phase, seconds in record["time"].items():
                if phase in ("at", "step", "samples_per_second", "sent_rows"):
                    continue
                self.assertAlmostEqual(1e-9 * found.get((f"step {record['step']}", phase), 0), seconds, delta=2e-9)


if __name__ == "__main__":
    runs.main()
