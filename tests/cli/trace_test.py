"""output.trace: one file of all ranks in the Trace Event Format, against metrics.jsonl and against itself, read without Perfetto.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (a JSON object with traceEvents;
ts and dur in microseconds; slices of a track nest). tests/viewers/perfetto_test.py asks Perfetto itself."""

import collections
import errno
import json
import signal

import runs

PHASES = ["data", "attention", "feed_forward", "gate", "exchange", "experts", "combine", "reduction", "update", "other"]
LEVELS = {"step": 0, "evaluation": 0, "checkpoint": 0, "phase": 1, "operation": 2}
NS = 1000  # of a microsecond


def ns(microseconds):
    return round(microseconds * NS)


class Trace:
    def __init__(self, run):
        self.document = json.loads((run / "trace.json").read_text())
        self.head = self.document["otherData"]
        self.events = self.document["traceEvents"]
        self.slices = [event for event in self.events if event["ph"] == "X"]
        self.counters = [event for event in self.events if event["ph"] == "C"]
        self.instants = [event for event in self.events if event["ph"] == "i"]

    def ranks(self):
        return sorted({event["pid"] for event in self.events})

    def of(self, rank, category=None):
        return [s for s in self.slices if s["pid"] == rank and category in (None, s["cat"])]

    def steps(self, rank=0):
        return [s["args"]["step"] for s in self.of(rank, "step")]

    def inside(self, outer, category):
        begin, end = ns(outer["ts"]), ns(outer["ts"]) + ns(outer["dur"])
        return [s for s in self.of(outer["pid"], category) if begin <= ns(s["ts"]) and ns(s["ts"]) + ns(s["dur"]) <= end]


class TraceTest(runs.RunTest):
    def assert_is_a_trace(self, trace, ranks, failed_step=None):
        self.assertEqual(trace.document["displayTimeUnit"], "ms")
        self.assertEqual(trace.ranks(), list(range(ranks)))
        for rank in range(ranks):
            named = [e["args"]["name"] for e in trace.events if e["ph"] == "M" and e["name"] == "process_name" and e["pid"] == rank]
            self.assertEqual(len(named), 1)
            self.assertTrue(named[0].startswith(f"rank {rank} on "), named)
            self.assert_nests(trace.of(rank), failed_step)
        for event in trace.events:
            self.assertIn(event["ph"], "XMCi")
            if event["ph"] != "M":
                self.assertGreaterEqual(event["ts"], 0)
                self.assertEqual(int(event["ts"] * 1000), ns(event["ts"]), "for a reader that cuts")
            if event["ph"] == "X":
                self.assertEqual(int(event["dur"] * 1000), ns(event["dur"]), "for a reader that cuts")
                self.assertIn(event["cat"], LEVELS)
                self.assertGreaterEqual(event["dur"], 0)

    def assert_nests(self, slices, failed_step):
        """In the order of the file, as a reader that pushes and pops takes them: each lies in the one that is open, one level
        below it; none overlaps its neighbour. The phase in which a step failed has no end: its messages lie in the step."""
        self.assertEqual(slices, sorted(slices, key=lambda s: (s["ts"], -s["dur"], LEVELS[s["cat"]])))
        open_slices = []
        for found in slices:
            begin, end, level = ns(found["ts"]), ns(found["ts"]) + ns(found["dur"]), LEVELS[found["cat"]]
            while open_slices and (open_slices[-1][1] <= begin or open_slices[-1][2] >= level):
                self.assertGreaterEqual(begin, open_slices.pop()[1], found)
            if not (open_slices and open_slices[0][3] == f"step {failed_step}" and len(open_slices) == 1):
                self.assertEqual(len(open_slices), level, found)
            if open_slices:
                self.assertLessEqual(end, open_slices[-1][1], found)
            open_slices.append((begin, end, level, found["name"]))

    def times(self, run):
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        return {record["step"]: record for record in lines if record["kind"] == "step"}

    def assert_sums_are_those_of_metrics(self, trace, run):
        records = self.times(run)
        for step in trace.of(0, "step"):
            record = records[step["args"]["step"]]
            sums = collections.Counter()
            for phase in trace.inside(step, "phase"):
                sums[phase["name"]] += ns(phase["dur"])
            for phase in PHASES:
                self.assertAlmostEqual(1e-9 * sums[phase], record["time"][phase], delta=5e-10, msg=(step, phase))
            self.assertAlmostEqual(1e-6 * step["dur"], record["time"]["step"], delta=5e-10)

    def assert_bytes_add_up(self, trace, rank):
        for step in trace.of(rank, "step"):
            sent = sum(s["args"]["sent_bytes"] for s in trace.inside(step, "operation"))
            self.assertEqual(step["args"]["sent_bytes"], sent)
        return sum(step["args"]["sent_bytes"] for step in trace.of(rank, "step"))


class Whole(TraceTest):
    def test_of_one_rank_and_of_three(self):
        for ranks in (1, 3):
            with self.subTest(ranks=ranks):
                run = self.train(ranks if ranks > 1 else 0, output_trace="yes", train_max_steps=20, checkpoint_every_steps=8)
                trace = Trace(run)
                self.assert_is_a_trace(trace, ranks)
                self.assert_sums_are_those_of_metrics(trace, run)
                for rank in range(ranks):
                    self.assertEqual(trace.steps(rank), list(range(1, 21)))
                    # Validation after epochs of 8 steps; in the end validation, test, and test of the best checkpoint if it is another.
                    after = [s["args"]["after_step"] for s in trace.of(rank, "evaluation")]
                    self.assertEqual(after[:2], [8, 16])
                    self.assertEqual(set(after[2:]), {20})
                    self.assertLessEqual({8, 16, 20}, {s["args"]["after_step"] for s in trace.of(rank, "checkpoint")})
                    sent = self.assert_bytes_add_up(trace, rank)
                    self.assertEqual(sent > 0, ranks > 1)
                self.assert_counters_are_loads(trace, run)
                self.assertFalse(trace.instants)
                self.assertEqual(trace.head["ranks_left_out"], 0)
                if ranks > 1:
                    self.assert_clocks_agree(trace)

    def assert_counters_are_loads(self, trace, run):
        loads = [record["load"] for record in self.times(run).values()]
        self.assertEqual([list(c["args"].values()) for c in trace.counters], loads)
        self.assertEqual([c["ts"] for c in trace.counters], [s["ts"] for s in trace.of(0, "step")])

    def assert_clocks_agree(self, trace):
        """Ranks of one machine have one clock; and no rank leaves a sum before every rank has come to it."""
        offsets = trace.head["clock_offsets"]
        self.assertEqual([entry["rank"] for entry in offsets], trace.ranks())
        for entry in offsets[1:]:
            for moment in ("begin", "end"):
                self.assertGreater(entry[moment]["round_trip_ns"], 0)
                self.assertLessEqual(2 * abs(entry[moment]["offset_ns"]), entry[moment]["round_trip_ns"] + 1)
        slack = NS * 2000
        reduced = [[s for s in trace.of(rank, "operation") if s["name"] == "all_reduce_sum"] for rank in trace.ranks()]
        self.assertEqual(len({len(of) for of in reduced}), 1)
        for sums in zip(*reduced):
            latest = max(ns(s["ts"]) for s in sums)
            for s in sums:
                self.assertGreaterEqual(ns(s["ts"]) + ns(s["dur"]) + slack, latest)

    def test_moves_no_bit_of_the_run_and_is_off_by_default(self):
        traced = self.train(output_trace="yes", train_max_steps=20)
        plain = self.train(train_max_steps=20)
        self.assert_same_run(traced, plain)
        self.assertFalse((plain / "trace.json").exists())

    def test_keeps_the_first_and_the_last_steps(self):
        run = self.train(2, output_trace="yes", output_trace_steps=5, train_max_steps=60)
        trace = Trace(run)
        self.assert_is_a_trace(trace, 2)
        self.assert_sums_are_those_of_metrics(trace, run)
        self.assert_counters_are_loads_of(trace, run, [*range(1, 6), *range(56, 61)])
        for rank in range(2):
            self.assertEqual(trace.steps(rank), [*range(1, 6), *range(56, 61)])
        self.assertEqual([(i["pid"], i["name"]) for i in trace.instants],
                         [(rank, "steps 6 to 55 are left out") for rank in range(2)])
        self.assertEqual(trace.head["steps_kept_at_each_end"], 5)

    def assert_counters_are_loads_of(self, trace, run, steps):
        records = self.times(run)
        self.assertEqual([list(c["args"].values()) for c in trace.counters], [records[step]["load"] for step in steps])

    def test_of_a_run_that_goes_on_is_of_its_own_steps(self):
        run = self.train(output_trace="yes", train_max_steps=4)
        self.resume(run, "--train.max_steps=10", "--output.trace_steps=2", ranks=2)
        trace = Trace(run)
        self.assert_is_a_trace(trace, 2)
        self.assertEqual(trace.steps(), [5, 6, 9, 10])
        self.assert_counters_are_loads_of(trace, run, [5, 6, 9, 10])

    def test_with_metrics_every_steps_still_has_every_step(self):
        self.assertEqual(Trace(self.train(output_trace="yes", train_max_steps=6, metrics_every_steps=4)).steps(), list(range(1, 7)))


class Ends(TraceTest):
    """What a run leaves that does not come to its end."""

    def test_of_a_run_that_is_asked_to_stop(self):
        config, run = self.write_config(output_trace="yes", train_epochs=10000, train_evaluate_every_steps=1000)
        running = runs.Running("train", config, ranks=2)
        metrics = run / "metrics.jsonl"
        self.assertTrue(running.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") > 20))
        for pid in running.rank_pids().values():
            runs._send(pid, signal.SIGUSR1)
        self.expect(running.wait(), 75)
        trace = Trace(run)
        self.assert_is_a_trace(trace, 2)
        self.assertEqual(trace.steps(0), trace.steps(1))
        self.assertEqual(trace.steps()[-1], json.loads((run / "summary.json").read_text())["steps"])

    def test_of_a_failure_of_all_ranks_holds_the_step_that_failed(self):
        config, run = self.write_config(output_trace="yes", optim_learning_rate=1e30, optim_clip_norm=0, train_max_steps=30,
                                        optim_warmup_steps=0)
        self.expect(runs.switchyard("train", config, ranks=2), 5, "NumericError")
        trace = Trace(run)
        done = len(self.times(run))
        self.assert_is_a_trace(trace, 2, failed_step=done + 1)
        self.assertEqual(trace.steps(0), list(range(1, done + 2)))
        self.assertEqual(trace.steps(1), list(range(1, done + 2)))

    def test_of_a_failure_of_the_root_alone_has_its_part(self):
        config, run = self.write_config(output_trace="yes", train_max_steps=20)
        environment = runs.fault("write", 6, errno.ENOSPC, path=run / "metrics.jsonl")
        self.expect(runs.switchyard("train", config, ranks=2, environment=environment), 3, "cannot write to")
        trace = Trace(run)
        self.assert_is_a_trace(trace, 1)
        self.assertEqual(trace.head["ranks_left_out"], 1)
        self.assertEqual(trace.steps(), list(range(1, 7)))

    def test_of_a_wait_that_is_too_long_has_the_roots_part(self):
        config, run = self.write_config(output_trace="yes", train_max_steps=20, run_wait_seconds=self.short_wait_seconds())
        self.expect(runs.switchyard("train", config, ranks=2, environment={"SWITCHYARD_FAULT": "1:4:stop"}), 6, "has waited")
        trace = Trace(run)
        self.assert_is_a_trace(trace, 1, failed_step=5)
        self.assertEqual(trace.steps(), [1, 2, 3, 4, 5])

    def test_that_cannot_be_written_ends_the_run_with_a_reason(self):
        config, run = self.write_config(output_trace="yes", train_max_steps=4)
        environment = runs.fault("write", 1, errno.ENOSPC, path=run / "trace.json")
        self.expect_failure(runs.switchyard("train", config, ranks=2, environment=environment), 3, "trace.json", kind="DataError")
        self.assertFalse(list(run.glob("trace.json*")))
        self.assertEqual(json.loads((run / "summary.json").read_text())["exit"]["code"], 3)

    def test_replaces_no_file_of_another_program(self):
        config, run = self.write_config(output_trace="yes", train_max_steps=4)
        run.mkdir()
        (run / "trace.json").write_text("[1, 2, 3]")
        self.expect_failure(runs.switchyard("train", config, ranks=2), 3, "trace.json' is not replaced", kind="DataError")
        self.assertEqual((run / "trace.json").read_text(), "[1, 2, 3]")


if __name__ == "__main__":
    runs.main()
