# Two files of `switchyard predict`: the share of samples whose largest gate weight is another expert's.
BEGIN { FS = "," }
FNR == 1 {
  slots = 0
  for (i = 1; i <= NF; i++) {
    if ($i ~ /^expert_[0-9]+$/) expert[slots++] = i
    if ($i == "gate_weight_0") weight = i
  }
  next
}
{
  best = 0
  for (s = 1; s < slots; s++) if ($(weight + s) + 0 > $(weight + best) + 0) best = s
  chosen = $expert[best]
}
FNR == NR { ours[$1] = chosen; next }
{ ++samples; if (ours[$1] != chosen) ++others }
END { printf "%.6g\n", samples ? others / samples : -1 }
