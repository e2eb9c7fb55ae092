"""What a run records when, and that its rates are one thing wherever they are said."""

import datetime
import json
import re
import time

import runs


def records(run, kind="step"):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in lines if record["kind"] == kind]


class Records(runs.RunTest):
    def test_some_steps_alone_are_those_of_all(self):
        """Each is of its step; a stop, another layout and a resume leave the same ones."""
        every = self.train(train_max_steps=20)
        some = self.train(train_max_steps=20, metrics_every_steps=6)
        expected = [found for found in runs.metrics(every) if found["kind"] != "step" or found["step"] % 6 == 0]
        self.assertEqual([found["step"] for found in expected if found["kind"] == "step"], [6, 12, 18])
        self.assertEqual(runs.metrics(some), expected)
        stopped = self.train(2, train_max_steps=7, metrics_every_steps=6)
        self.resume(stopped, "--train.max_steps=20", ranks=3)
        self.assertEqual(runs.metrics(stopped), expected)
        self.assertEqual(runs.summary(some)["train"]["loss"], runs.summary(every)["train"]["loss"])

    def test_a_resume_may_ask_for_other_steps(self):
        run = self.train(train_max_steps=8, metrics_every_steps=4)
        self.expect(runs.switchyard("resume", run, "--metrics.every_steps=5", "--train.max_steps=16"), 0)
        self.assertEqual([record["step"] for record in records(run)], [4, 8, 10, 15])

    def test_say_when(self):
        begin = time.time() - 0.001
        run = self.train(train_max_steps=10)
        end = time.time()
        said = [record["time"]["at"] for record in records(run) + records(run, "evaluation")]
        for text in said:
            self.assertRegex(text, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertTrue(begin <= datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() <= end, text)
        steps = [record["time"]["at"] for record in records(run)]
        self.assertEqual(steps, sorted(steps))


class Output(runs.RunTest):
    def test_rates_are_of_training_steps(self):
        config, run = self.write_config(train_max_steps=20, train_log_every_steps=5)
        finished = self.expect(runs.switchyard("train", config), 0)
        found = records(run)
        seconds = [record["time"]["step"] for record in found]
        samples = [record["samples"] for record in found]
        self.assertAlmostEqual(runs.summary(run)["train"]["samples_per_second"], sum(samples) / sum(seconds),
                               delta=1e-6 * sum(samples) / sum(seconds))
        said = [(int(step), float(rate.replace(",", ""))) for step, rate in
                re.findall(r"step (\d+)/20 .*? ([\d,.]+) samples/s", finished.out)]
        self.assertEqual([step for step, _ in said], [5, 10, 15, 20])
        for step, rate in said:
            expected = sum(samples[step - 5:step]) / sum(seconds[step - 5:step])
            self.assertAlmostEqual(rate, expected, delta=0.51)

    def test_ends_with_the_command_that_shows_it(self):
        config, run = self.write_config(train_max_steps=2)
        lines = self.expect(runs.switchyard("train", config, ranks=2), 0).out.splitlines()
        begin = "see it: switchyard "
        self.assertTrue(lines[-1].startswith(begin), lines[-1])
        self.expect(runs.switchyard(*lines[-1].removeprefix(begin).split()), 0)
        self.assertTrue((run / "report.html").is_file())


if __name__ == "__main__":
    runs.main()
