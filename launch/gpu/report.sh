# shellcheck shell=bash
# What a stage of launch/gpu-check.sh says. Sourced.
#
# A stage leaves lines in $notes, a kind and a text apart by a tab: "figure NAME VALUE UNIT", "line TEXT" (as it is, for the
# Markdown), "failed WHY", "missing WHY" (a part that this machine cannot run, or that has no meaning on a simulated device),
# and "judged". They are written at once, so that what a stage had is known if it is cut.

# shellcheck disable=SC2154  # $notes, $log, $out, $simulated: who sources it
note() { (IFS=$'\t' && printf '%s\n' "$*") >>"$notes"; }
figure() { note figure "$1" "$2" "${3:-}"; }
line() { note line "$1"; }
failed() {
  note failed "$1"
  return 1
}
missing() { note missing "$1"; }

# What a log says was wrong, in one line: the program's sentence, or the last line that says anything.
last_words() {
  { grep -m 1 -E 'switchyard(\[.*\])? error: ' "$1" || grep '[[:alnum:]]' "$1" | tail -n 1; } 2>/dev/null | tr '\t' ' ' | cut -c 1-400
}

# status_of CODE: of the stage whose notes these are and that ended so.
status_of() {
  if grep -q '^failed' "$notes"; then
    echo failed
  elif [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then
    echo cut
  elif [ "$1" -ne 0 ]; then
    note failed "the script of this stage ended with code $1: $(last_words "$log")"
    echo failed
  elif grep -q '^judged' "$notes"; then
    echo passed
  elif [ -n "$simulated" ]; then
    echo "not simulated"
  else
    echo "not possible"
  fi
}

# What was wrong, or what was missing.
why_of() { awk -F'\t' '$1 == "failed" || $1 == "missing" { printf "%s%s", sep, $2; sep = "; " }' "$notes"; }

# A text as one of JSON.
json_text() {
  LC_ALL=C awk 'BEGIN { for (i = 1; i < 32; i++) code[sprintf("%c", i)] = sprintf("\\u%04x", i); printf "\"" }
    { if (NR > 1) printf "\\n"
      gsub(/\\/, "\\\\"); gsub(/"/, "\\\"")
      for (i = 1; i <= length($0); i++) { c = substr($0, i, 1); printf "%s", (c in code) ? code[c] : c } }
    END { printf "\"" }' <<<"$1"
}

# report_stage NUMBER NAME STATUS SECONDS: a line of report.json, a section of report.md.
report_stage() {
  local why kind name value unit separator=""
  why=$(why_of)
  {
    printf '{"stage":%s,"status":%s,"seconds":%s,"why":%s,"figures":{' \
      "$(json_text "$2")" "$(json_text "$3")" "$4" "$(json_text "$why")"
    while IFS=$'\t' read -r kind name value unit; do
      [ "$kind" = figure ] || continue
      [[ "$value" =~ ^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$ ]] || value=$(json_text "$value")
      printf '%s%s:%s' "$separator" "$(json_text "$name${unit:+, $unit}")" "$value"
      separator=,
    done <"$notes"
    printf '}}\n'
  } >>"$out/report.json"
  {
    printf '\n## %s %s: %s (%s s)\n\n' "$1" "$2" "$3" "$4"
    [ -z "$why" ] || printf '%s\n\n' "$why"
    awk -F'\t' '$1 == "figure" { if (!rows++) print "| what | figure |\n|---|---|"; printf "| %s | %s %s |\n", $2, $3, $4 }
      END { if (rows) print "" }' "$notes"
    awk -F'\t' '$1 == "line" { if (!lines++) print "```"; sub(/^line\t/, ""); print } END { if (lines) print "```" }' "$notes"
  } >>"$out/report.md"
}
