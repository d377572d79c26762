"""How the report looks: one column on a telephone, plots side by side on a screen, dark where the reader is."""

CSS = """
:root { color-scheme: light dark;
  --paper: #fcfcfb; --card: #ffffff; --ink: #16191d; --quiet: #5d6670; --grid: #dfe3e7;
  --s0: #1f66c1; --s1: #d2571f; --s2: #12855b; --s3: #6c4bc0; --s4: #b0247a; --s5: #7a6a00; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #15181c; --card: #1d2126; --ink: #eceff2; --quiet: #a3adb8; --grid: #39414a;
  --s0: #5aa2f5; --s1: #f08a56; --s2: #3fc493; --s3: #ab94f2; --s4: #ef7cc0; --s5: #d3bf46; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 20px 16px 60px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 8px 0; }
h2 { font-size: 1.2rem; margin: 44px 0 6px; }
p { max-width: 72ch; margin: 8px 0; }
.quiet, small { color: var(--quiet); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 12px; margin: 20px 0; }
.tile { background: var(--card); border: 1px solid var(--grid); border-left: 5px solid var(--mark); border-radius: 6px;
  padding: 12px 14px; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.25; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--grid); border-radius: 6px; padding: 10px; }
figcaption { font-size: .95rem; line-height: 1.3; min-height: 3.9em; }
figcaption small { display: block; font-family: ui-monospace, monospace; }
figure svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--quiet); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--grid); stroke-width: 1; } .span { stroke: var(--quiet); stroke-width: 2; opacity: .7; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; } .dot { stroke: var(--card); stroke-width: 1.5; }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.line.s3 { stroke: var(--s3); } .line.s4 { stroke: var(--s4); } .line.s5 { stroke: var(--s5); }
.dot.s0 { fill: var(--s0); } .dot.s1 { fill: var(--s1); } .dot.s2 { fill: var(--s2); }
.dot.s3 { fill: var(--s3); } .dot.s4 { fill: var(--s4); } .dot.s5 { fill: var(--s5); } .dot.end { fill: var(--ink); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; max-width: none; }
.legend span { display: inline-flex; align-items: center; gap: 7px; }
.bells { background: var(--card); border: 1px solid var(--grid); border-radius: 6px; padding: 10px 14px; }
.row { display: grid; grid-template-columns: minmax(0, 22rem) 1fr; gap: 14px; align-items: center; padding: 2px 0; }
.row > span { overflow-wrap: anywhere; font-size: .92rem; line-height: 1.25; }
.row svg { width: 100%; overflow: visible; }
.scale div { display: flex; justify-content: space-between; color: var(--quiet); font-size: .8rem; }
.scale i { font-style: normal; }
.wide { overflow-x: auto; margin: 10px 0; border: 1px solid var(--grid); border-radius: 6px; background: var(--card); }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 6px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
tr > th:first-child { text-align: left; } tbody th { font-weight: 500; } tbody tr:last-child > * { border-bottom: 0; }
td.heat { background: color-mix(in srgb, var(--s0) calc(var(--share) * 45%), transparent); }
.heats thead th { white-space: normal; overflow-wrap: anywhere; min-width: 4.4rem; vertical-align: bottom; }
td.heat small { display: block; color: inherit; opacity: .85; }
details { margin: 10px 0; } summary { cursor: pointer; color: var(--quiet); padding: 6px 0; }
@media (max-width: 640px) {
  .row { grid-template-columns: 1fr; gap: 0; padding: 6px 0; }
  .bells { padding: 10px 16px; } figcaption { min-height: 0; } }
"""
