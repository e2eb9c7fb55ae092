"""Random configuration x layout x stop and resume, each against one undisturbed process: the same bits.

A pair is one configuration on one layout: trained straight on other ranks and threads, or stopped once or twice
(train.max_steps) and gone on elsewhere.
"""

import json

import harness
import random_configuration
import runs

LAYOUTS_PER_CONFIGURATION = 4


class Layouts(harness.Harness):
    def __init__(self):
        super().__init__("random_layouts", __doc__, default_count=40, unit="pairs")
        self.images = self.folder / "images"
        runs.write_data_set(self.images, 90, 30)

    def attempt(self, one):
        config = one.folder / "a.ini"
        random_configuration.write(config, random_configuration.draw(one.random, self.images))
        straight = one.folder / "straight"
        reference = harness.train(config, f"--run.dir={straight}")
        if reference.code == 2:  # options that do not fit together: said, and nothing made
            self.count("refused configurations")
            harness.expect("ConfigError: " in reference.err and not straight.exists(), reference)
            return
        if reference.code == 5:
            self.count("runs that diverged")
            harness.expect(reference.err.count("NumericError: ") == 1, reference)
            return
        harness.expect(reference.code == 0, f"{config}\n{reference}")
        steps = json.loads((straight / "summary.json").read_text())["steps"]
        for index in range(LAYOUTS_PER_CONFIGURATION):
            other = one.folder / f"other_{index}"
            self.go_another_way(one.random, config, other, steps)
            harness.compare(straight, other)
            self.count("pairs")

    def go_another_way(self, random, config, run, steps):
        stops = sorted(random.sample(range(1, steps), min(random.choice((0, 1, 1, 2)), steps - 1)))
        command = [f"--run.dir={run}"]
        for index, stop in enumerate([*stops, 0]):
            ranks, threads = harness.layout(random)
            keys = [f"--train.max_steps={stop}", f"--run.threads={threads}"]
            finished = (harness.train(config, *command, *keys, ranks=ranks) if index == 0
                        else harness.resume(run, *keys, ranks=ranks))
            harness.expect(finished.code == 0, f"{run} on {ranks} ranks x {threads} threads to step {stop or steps}\n{finished}")
            self.count("runs")


if __name__ == "__main__":
    layouts = Layouts()
    layouts.main(layouts.attempt)
