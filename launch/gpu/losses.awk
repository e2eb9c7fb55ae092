# Two metrics.jsonl: the largest relative difference of a step's loss, and where it was. Fails above 1e-4, or if they have not the
# same steps. Losses of different devices differ by the order in which products are added; 1e-4 is ten times what that made
# of any model on the simulated device.
function number(key, of) { return match(of, "\"" key "\":[-+0-9.e]+") ? substr(of, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : "" }
!/"kind":"step"/ { next }
FNR == NR { loss[number("step", $0)] = number("loss", $0); ++expected; next }
{
  step = number("step", $0)
  if (!(step in loss) || loss[step] == "" || number("loss", $0) == "") { print "step " step " has no loss on both sides"; wrong = 1; exit 1 }
  difference = number("loss", $0) - loss[step]
  if (difference < 0) difference = -difference
  size = loss[step] < 0 ? -loss[step] : loss[step]
  if (size > 0) difference /= size
  ++found
  if (difference >= largest) { largest = difference; at = step }
}
END {
  if (wrong) exit 1
  if (found == 0 || found != expected) { print found + 0 " of " expected + 0 " steps are on both sides"; exit 1 }
  printf "%.3g at step %s\n", largest, at
  if (!(largest <= 1e-4)) exit 1
}
