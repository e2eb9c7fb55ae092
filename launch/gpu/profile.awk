# The CSV of ncu: kernels with less than 30% of both ceilings, with their launches and time.
BEGIN { FS = "\",\"" }
/^"ID"/ { for (i = 1; i <= NF; i++) { gsub(/"/, "", $i); column[$i] = i }; next }
!("Metric Name" in column) || !/^"[0-9]+"/ { next }
{
  kernel = substr($column["Kernel Name"], 1, 100)
  id = $1
  value = $column["Metric Value"]
  gsub(/[",]/, "", value)
  metric = $column["Metric Name"]
  name[id] = kernel
  if (metric == "Compute (SM) Throughput") compute[id] = value
  if (metric == "Memory Throughput" && $column["Metric Unit"] == "%") memory[id] = value
  if (metric == "Duration") duration[id] = value
}
END {
  for (id in name) {
    ++all
    if (compute[id] + 0 >= 30 || memory[id] + 0 >= 30) continue
    ++launches[name[id]]
    time[name[id]] += duration[id]
    if (compute[id] + 0 > most_compute[name[id]]) most_compute[name[id]] = compute[id] + 0
    if (memory[id] + 0 > most_memory[name[id]]) most_memory[name[id]] = memory[id] + 0
  }
  print "of " all + 0 " launches, those below 30% of both ceilings: launches, time in all (in ncu's unit), most of compute %, of memory %"
  for (kernel in launches)
    printf "%4d %12.0f %6.1f %6.1f  %s\n", launches[kernel], time[kernel], most_compute[kernel], most_memory[kernel], kernel
}
