/** The page's only style sheet: light and dark by the reader's system, light on paper, no font and no image to load. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1c2024; --soft: #5b6570; --rule: #dfe3e6; --head: #f2f4f5;
  --a: #2563a8; --b: #b45309; --good: #1a7f4b; --bad: #c0262d; --caution: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --card: #1c2024; --ink: #e8eaed; --soft: #9aa5b1; --rule: #343b42; --head: #23292e;
    --a: #6cb0f5; --b: #f0a35a; --good: #5fcf95; --bad: #ff7b80; --caution: #e2b65a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 56px; }
header { margin-bottom: 20px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 36px 0 10px; }
h3 { font-size: 14px; margin: 0 0 2px; }
p { margin: 0 0 8px; }
.soft, figcaption { color: var(--soft); }
code, .key { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: 13px; }
code, .key, td { overflow-wrap: anywhere; }
.verdict {
  display: inline-block; padding: 1px 10px; border: 1.5px solid currentColor; border-radius: 999px;
  font-size: 14px; font-weight: 600; vertical-align: 4px; margin-left: 6px; white-space: nowrap;
}
.good { color: var(--good); } .bad { color: var(--bad); } .caution { color: var(--caution); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 172px), 1fr)); gap: 10px; margin: 18px 0 8px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 20px; line-height: 1.4; white-space: nowrap; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.under { margin-top: 14px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 390px), 1fr)); gap: 14px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 14px 16px 10px; }
figcaption { font-size: 13px; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg text.bad { fill: var(--bad); font-weight: 700; }
svg text.on-bar { fill: var(--card); }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.a { stroke: var(--a); } .line.b { stroke: var(--b); }
.area.a { fill: var(--a); opacity: .16; }
.bar.a { fill: var(--a); } .bar.b { fill: var(--b); } .bar.bad { fill: var(--bad); }
.failure path { fill: var(--bad); }
.legend { font-size: 13px; color: var(--soft); margin: 4px 0 0; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin: 0 5px 0 12px; }
.legend i:first-child { margin-left: 0; }
.legend .a { background: var(--a); } .legend .b { background: var(--b); } .legend .x { background: var(--bad); }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { background: var(--head); font-weight: 600; white-space: nowrap; }
tr:last-child > td { border-bottom: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.w { white-space: nowrap; }
tr.sum > td { font-weight: 600; border-top: 2px solid var(--rule); }
.tag { font-size: 12px; border: 1px solid var(--rule); border-radius: 4px; padding: 0 5px; color: var(--soft); white-space: nowrap; }
ul { margin: 0; padding-left: 20px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; }
@media (max-width: 560px) { main { padding: 18px 12px 40px; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
@media print {
  :root {
    --ground: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #bbb; --head: #eee;
    --a: #2563a8; --b: #b45309; --good: #1a7f4b; --bad: #c0262d; --caution: #8a5a00;
  }
  main { max-width: none; padding: 0; }
  figure, .tile, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .table { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
