"""Small studies for the tests of `switchyard study`."""

import json

import runs

BASE = """
[run]
threads = 1
[data]
source = random

[random]
samples = 512
features = 16
classes = 4
[model]
gate = dense:8 relu dense:experts
expert = dense:8 relu dense:classes
[moe]
experts = 3
[optim]
learning_rate = 1e-2
[train]
batch_size = 64
epochs = 3
"""

# Of an arm whose data cannot be read; the keys of BASE's source are at their defaults, since it reads none of them.
UNREADABLE = "data.source = idx\ndata.dir = /nowhere\nrandom.samples = 4096\nrandom.features = 256\nrandom.classes = 10\n"

TWO_ARMS = """
[study]
dir = {dir}
seeds = 2
selection_seeds = 2
selection_epochs = 2
metrics = test.error test.mi_predicted test.accuracy_percent
baseline = plain
published = published.csv
[quick]
dir = {dir}_quick
seeds = 1
selection_seeds = 1
train.epochs = 1
[all]
train.batch_size = 32
[arm.plain]
config = base.ini
title = Plain mixture
[arm.sparse]
config = base.ini
moe.top_k = 1 | 2
moe.importance = 0.2
"""

PUBLISHED = "arm,metric,step,value,std\nplain,test.error,,0.25,0.01\nplain,test.error,10,0.5,\n"


class StudyTest(runs.RunTest):
    def setUp(self):
        (self.folder / "base.ini").write_text(BASE)
        (self.folder / "published.csv").write_text(PUBLISHED)

    def assert_only_best_checkpoints(self, folder):
        for checkpoints in folder.rglob("checkpoints"):
            best = (checkpoints / "best").read_text().strip()
            self.assertEqual({file.name for file in checkpoints.iterdir()} - {"best", "latest"}, {best})
            if (checkpoints / "latest").exists():
                self.assertEqual((checkpoints / "latest").read_text().strip(), best)

    def write_study(self, text=TWO_ARMS, more=""):
        """A study file and the study's folder, which is new."""
        folder = self.new_path("study")
        file = self.folder / f"{folder.name}.ini"
        file.write_text((text + more).replace("{dir}", str(folder)))
        return file, folder

    def study(self, file, *arguments, ranks=0, code=0):
        return self.expect(runs.switchyard("study", file, *arguments, ranks=ranks), code)

    def straight(self, text=TWO_ARMS, more=""):
        file, folder = self.write_study(text, more)
        self.study(file)
        return folder

    def assert_same_results(self, a, b):
        self.assertEqual((a / "runs.csv").read_text(), (b / "runs.csv").read_text())


def summaries(folder):
    """Path below the folder -> what changes if the file is written again, of finished runs."""
    found = {}
    for file in folder.rglob("summary.json"):
        if json.loads(file.read_text())["exit"]["code"] == 0:
            status = file.stat()
            found[str(file.relative_to(folder))] = (status.st_ino, status.st_mtime_ns)
    return found
