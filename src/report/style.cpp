// The style of a report's page. The eight series colours are Okabe and Ito's, which colour-blind readers tell
// apart, darkened on a light page and lightened on a dark one until they have a contrast of 3 to the
// background.
#include "report/html.hpp"

namespace switchyard::report {

std::string_view style_sheet() {
  return R"(:root {
  --page: #f5f6f7; --card: #fff; --text: #1b1f24; --muted: #57606a; --rule: #d8dce1; --grid: #e7eaed;
  --link: #0b5cad; --heat: #0b5fa5; --on-heat: #fff; --warning: #9a4b00; --warning-page: #fff6e9; --published: #1b1f24;
  --c0: #0072b2; --c1: #d55e00; --c2: #00845f; --c3: #b0529a; --c4: #8f6d00; --c5: #3795c9; --c6: #b3262e; --c7: #606871;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101317; --card: #191d23; --text: #e6e9ec; --muted: #9fa8b2; --rule: #333a43; --grid: #272d35;
    --link: #7cbcff; --heat: #4da3f5; --on-heat: #0d1116; --warning: #ffb866; --warning-page: #2a2114; --published: #fff;
    --c0: #4ea9e6; --c1: #ff8c42; --c2: #2bbd90; --c3: #e08fcb; --c4: #e3c34c; --c5: #9db4ff; --c6: #ff7a75; --c7: #a8b0b9;
  }
}
@media print {
  :root {
    --page: #fff; --card: #fff; --text: #000; --muted: #444; --rule: #bbb; --grid: #e5e5e5; --link: #000;
    --heat: #0b5fa5; --on-heat: #fff; --warning: #7a3b00; --warning-page: #fff; --published: #000;
    --c0: #0072b2; --c1: #d55e00; --c2: #00845f; --c3: #b0529a; --c4: #8f6d00; --c5: #3795c9; --c6: #b3262e; --c7: #606871;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  figure, .tiles > div, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 40px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 34px 0 12px; }
h3 { font-size: 15px; margin: 20px 0 8px; }
header p, footer, .note { color: var(--muted); }
header p { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 36px; font-size: 13px; }
a { color: var(--link); }
.whole-line { white-space: nowrap; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; margin: 20px 0 0; }
.tiles > div { background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 10px 14px; min-width: 0; }
.tiles dt { color: var(--muted); font-size: 13px; }
.tiles dd { margin: 0; font-size: 21px; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
.tiles dd.note { font-size: 12px; font-weight: 400; }
.warnings { background: var(--warning-page); border: 1px solid var(--warning); border-radius: 6px; padding: 10px 18px; margin-top: 20px; }
.warnings h2 { margin: 0; font-size: 15px; color: var(--warning); }
.warnings ul { margin: 4px 0 0; padding-left: 20px; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; margin-bottom: 14px; }
.grid.three { grid-template-columns: repeat(3, minmax(0, 1fr)); }
.grid .whole { grid-column: 1 / -1; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 12px 16px; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: 4px; }
.picture { overflow-x: auto; }
.picture svg { display: block; width: 100%; max-width: 540px; height: auto; margin: 0 auto; }
.whole .picture svg { max-width: none; min-width: 640px; }
.note { font-size: 13px; margin: 6px 0 0; overflow-wrap: anywhere; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0 0 6px; padding: 0; font-size: 13px; color: var(--muted); }
.legend li { display: flex; align-items: center; gap: 6px; }
.note + .grid, .note + details { margin-top: 10px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 2px 16px 10px; margin-bottom: 10px; }
.samples { list-style: none; display: grid; grid-template-columns: repeat(auto-fill, 72px); gap: 8px 4px; margin: 4px 0 10px; padding: 0; font-size: 12px; line-height: 1.3; }
.samples li { text-align: center; }
.samples img { display: block; margin: 0 auto 2px; image-rendering: pixelated; border: 1px solid var(--rule); }
.wrong { color: var(--warning); }
.scroll { overflow-x: auto; margin-bottom: 14px; }
.keeps-first tr > :first-child { position: sticky; left: 0; background: var(--card); }
.difference { display: block; color: var(--muted); font-size: 12.5px; }
.runs { flex-direction: column; font-size: 14px; margin-top: 14px; }
.runs .note { margin: 0; }
table { border-collapse: collapse; background: var(--card); font-size: 14px; }
th, td { padding: 6px 12px; border: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; }
.text { text-align: left; }
td.text { white-space: normal; min-width: 150px; overflow-wrap: break-word; }
details { background: var(--card); border: 1px solid var(--rule); border-radius: 6px; padding: 8px 16px; margin-bottom: 10px; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; font: 13px/1.45 ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; margin: 8px 0; }
svg text { font-size: 12px; fill: var(--text); }
svg .tick, svg .label { fill: var(--muted); }
svg .row-name { font-weight: 600; }
svg .row-name, svg .label { paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.middle, .count { text-anchor: middle; }
.end { text-anchor: end; }
line.grid { stroke: var(--grid); }
.axis { stroke: var(--muted); }
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
.curve { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round; }
.dashed { stroke-dasharray: 6 3; }
.dotted { stroke-dasharray: 2 3; }
.band { fill: var(--c); fill-opacity: .2; }
.dot { fill: var(--c); stroke: var(--card); stroke-width: .8; }
.area { fill: var(--c); stroke: var(--card); stroke-width: .6; }
.reference { stroke: var(--muted); stroke-dasharray: 5 4; }
.cell { fill: var(--heat); stroke: var(--grid); }
.level { fill: var(--heat); shape-rendering: crispEdges; }
.row { fill: transparent; }
.row:hover { stroke: var(--muted); }
svg text.on-dark { fill: var(--on-heat); }
.box { fill: var(--c); fill-opacity: .22; stroke: var(--c); }
.whisker, .median { stroke: var(--text); }
.median { stroke-width: 2; }
.point { fill: var(--c); fill-opacity: .85; stroke: var(--card); stroke-width: .6; }
.mean { fill: var(--c); }
.interval { stroke: var(--text); stroke-width: 1.6; }
.published { fill: var(--card); stroke: var(--published); stroke-width: 1.8; }
@media (max-width: 820px) {
  .grid, .grid.three { grid-template-columns: minmax(0, 1fr); }
  svg text { font-size: 13.5px; }
  main { padding: 16px 10px 30px; }
  figure { padding: 10px; }
  .tiles { grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 8px; }
  .tiles > div { padding: 8px 10px; }
  .tiles dd { font-size: 18px; }
  th, td { padding: 5px 8px; }
  tr > :first-child:nth-last-child(-n+4) { min-width: 0; }
}
@media print {
  .grid { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .grid.three { grid-template-columns: repeat(3, minmax(0, 1fr)); }
}
)";
}

}  // namespace switchyard::report
