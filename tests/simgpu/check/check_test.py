"""launch/gpu-check.sh on the simulated device: what is planted there is found by the stage that is for it, is in both reports,
and stops no later stage.

Called as check_test.py SWITCHYARD MEND_CHECKPOINT CHECKOUT BUILD [unittest's arguments].
"""

import json
import os
import pathlib
import subprocess
import sys

import runs

CHECKOUT, BUILD = pathlib.Path(sys.argv.pop(3)), pathlib.Path(sys.argv.pop(3))


class Check(runs.RunTest):
    @classmethod
    def write_data(cls):
        pass

    def check(self, only, code, **environment):
        """The stages of report.json by name, and report.md."""
        out = self.new_path("check")
        finished = subprocess.run(
            [CHECKOUT / "launch" / "gpu-check.sh", "--simulated", BUILD, "--only", only, "--out", out], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=4 * runs.HANGS_SECONDS,
            env={**os.environ, **environment})
        self.assertEqual(finished.returncode, code, finished.stdout)
        if code == 2:
            return finished.stdout
        lines = [json.loads(line) for line in (out / "report.json").read_text().splitlines()]
        self.assertEqual(lines[0]["check"], "simulated device")
        self.assertEqual(lines[-1]["exit_code"], code)
        return {line["stage"]: line for line in lines[1:-1]}, (out / "report.md").read_text()

    def test_a_product_that_holds_for_no_number_of_rows(self):
        stages, page = self.check("probe,ceilings", 1, SWITCHYARD_SIMGPU_PRODUCTS="all_by_rows")
        self.assertEqual([stage["status"] for stage in stages.values()], ["passed", "failed", "not simulated"], stages)
        self.assertIn("original: of a kind of product no algorithm holds: float32, k 1352, n 512", stages["probe"]["why"])
        self.assertIn(stages["probe"]["why"], page)
        self.assertIn("\n## 2 probe: failed (", page)

    def test_a_call_that_fails(self):
        stages, page = self.check("nccl,step", 1, SWITCHYARD_SIMGPU_FAIL="ncclSend:1")
        self.assertEqual({name: stage["status"] for name, stage in stages.items()},
                         {"start": "passed", "nccl": "failed", "step": "passed"}, stages)
        self.assertIn("NcclError: ncclSend failed on rank ", stages["nccl"]["why"])
        self.assertIn(stages["nccl"]["why"], page)
        figures = stages["step"]["figures"]
        self.assertGreater(figures["original: launches of a step"], 0)
        self.assertGreater(figures["text: products of a step"], 0)

    def test_a_stage_that_takes_too_long_is_cut(self):
        stages, _ = self.check("agreement,profile", 1, SWITCHYARD_GPU_CHECK_SECONDS="2")
        self.assertEqual([stage["status"] for stage in stages.values()], ["passed", "cut", "not simulated"], stages)

    def test_without_a_card_it_ends(self):
        stages, page = self.check("probe", 4, SWITCHYARD_SIMGPU_DEVICES="0")
        self.assertEqual(list(stages), ["start"])
        self.assertIn("no card is used: training device: cpu (", stages["start"]["why"])
        self.assertIn("exit code 4", page)

    def test_a_stage_that_does_not_exist(self):
        self.assertIn("there is no stage speed; there are start conformance", self.check("speed", 2))

    def awk(self, script, *files):
        paths = []
        for text in files:
            paths.append(self.new_path())
            paths[-1].write_text(text)
        return subprocess.run(["awk", "-f", CHECKOUT / "launch" / "gpu" / script, *paths], text=True, capture_output=True)

    def test_losses_may_differ_by_a_ten_thousandth(self):
        def steps(*losses):
            return "".join(f'{{"kind":"step","step":{n},"loss":{loss},"task_loss":0.5}}\n' for n, loss in enumerate(losses, 1))

        for ours, theirs, code, said in (
                ((2.0, -1e-2), (2.00018, -1.00001e-2), 0, "9e-05 at step 1"), ((2.0, 1.0), (2.0, 1.00011), 1, "0.00011 at step 2"),
                ((2.0, 1.0), (2.0,), 1, "1 of 2 steps are on both sides"), ((2.0,), (2.0, 1.0), 1, "step 2 has no loss on both sides"),
                ((2.0,), ("null",), 1, "step 1 has no loss on both sides"), (("null",), (2.0,), 1, "step 1 has no loss on both sides"),
                ((), (), 1, "0 of 0 steps are on both sides")):
            with self.subTest(ours=ours, theirs=theirs):
                finished = self.awk("losses.awk", steps(*ours), steps(*theirs))
                self.assertEqual((finished.stdout.strip(), finished.returncode), (said, code))

    def test_who_is_routed_otherwise(self):
        head = "id,prediction,label,expert_0,expert_1,gate_weight_0,gate_weight_1\n"
        ours = head + "7,1,1,3,4,0.6,0.4\n8,1,1,3,4,0.3,0.7\n9,1,1,0,1,0.9,0.1\n10,1,1,0,1,1e-3,2e-3\n"
        theirs = head + "7,1,1,4,3,0.4,0.6\n8,1,1,3,4,0.6,0.4\n9,1,1,0,1,0.9,0.1\n10,1,1,0,1,1e-3,2e-3\n"
        self.assertEqual(self.awk("routes.awk", ours, theirs).stdout, "0.25\n")


if __name__ == "__main__":
    runs.main()
