// page_style.hpp
// ~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_PAGE_STYLE_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_PAGE_STYLE_HPP

#include <string_view>

namespace flowguard::detail {

// The end of the page's head. On a wide screen, the reasons and the controls are beside the charts; on a narrow one,
// the reasons come before the charts, and the controls last.
inline constexpr std::string_view page_style = R"html(
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%231a5fc4'/%3E%3Cpath d='M3 11h3V6h4v3h3' fill='none' stroke='%23fff' stroke-width='1.8'/%3E%3C/svg%3E">
<style>
:root {
  color-scheme: light;
  --page: #f5f6f8; --card: #fff; --edge: #e2e5ea; --text: #14181e; --soft: #59636f; --grid: #e9ecf0; --well: #e4e8ee;
  --limit: #1a5fc4; --flight: #7fb6ea; --waiting: #a16207; --goodput: #0c7c68; --rejected: #c2410c; --dropped: #a3267c;
  --p99: #6a3fbd; --p50: #b49be4; --callers: #a16207; --reference: #7c8695; --good: #0c7c68; --bad: #b45309;
  --on-accent: #fff; --warn: #fff4e0;
}
@media (prefers-color-scheme: dark) {
  :root {
    color-scheme: dark;
    --page: #0d1015; --card: #151a21; --edge: #252c36; --text: #e9edf2; --soft: #98a3b1; --grid: #222932;
    --well: #2a323d;
    --limit: #6fb2ff; --flight: #2c6cb4; --waiting: #f0c050; --goodput: #3fcdb0; --rejected: #fb8c5f;
    --dropped: #f08acb; --p99: #bba1ff; --p50: #6f57b8; --callers: #f0c050; --reference: #7d8897; --good: #3fcdb0;
    --bad: #f2a444; --on-accent: #0d1015; --warn: #33270f;
  }
}
* { box-sizing: border-box; margin: 0; }
body {
  background: var(--page); color: var(--text); min-height: 100vh; padding: 16px 24px 20px;
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-font-smoothing: antialiased;
}
.frame {
  max-width: 1560px; margin: 0 auto; display: grid; gap: 14px; grid-template-columns: minmax(0, 1fr) 330px;
  grid-template-areas: "head head" "warn warn" "tiles tiles" "tasks side" "calls side" "times side";
}
.top { grid-area: head; display: flex; align-items: center; flex-wrap: wrap; gap: 8px 12px; padding: 0 2px; }
h1 { font-size: 18px; font-weight: 650; letter-spacing: -.01em; margin-right: auto; }
h2 { font-size: 13px; font-weight: 600; }
#state { display: inline-flex; align-items: center; gap: 7px; color: var(--soft); }
#state::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--bad); }
.live #state::before { background: var(--good); }
.card { background: var(--card); border: 1px solid var(--edge); border-radius: 12px; }
button, select, .tools a {
  font: inherit; font-size: 13px; font-weight: 500; color: var(--text); background: var(--card); border: 1px solid
  var(--edge); border-radius: 8px; padding: 5px 10px; cursor: pointer;
}
button:hover, select:hover { border-color: var(--reference); }
button[aria-pressed=true] { background: var(--limit); border-color: var(--limit); color: var(--on-accent); }
.group { display: inline-flex; }
.group button { border-radius: 0; margin-left: -1px; }
.group button:first-child { border-radius: 8px 0 0 8px; margin-left: 0; }
.group button:last-child { border-radius: 0 8px 8px 0; }
:focus-visible { outline: 2px solid var(--limit); outline-offset: 2px; }
#warning { grid-area: warn; background: var(--warn); border-color: var(--bad); padding: 9px 16px; }
#warning[hidden], [hidden] { display: none; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.tiles { grid-area: tiles; display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 14px; }
.tile { padding: 11px 16px 10px; }
.tile h2 { color: var(--soft); font-weight: 500; white-space: nowrap; }
.tile b {
  display: block; font-size: 29px; line-height: 1.15; font-weight: 600; letter-spacing: -.025em; margin-top: 2px;
  white-space: nowrap;
}
.tile small { font-size: 14px; font-weight: 500; letter-spacing: 0; color: var(--soft); margin-left: 3px; }
.tile p { color: var(--soft); font-size: 12.5px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
i { flex: none; width: 14px; height: 3px; border-radius: 2px; background: var(--ink); }
i.area { height: 9px; }
i.dashes {
  background: repeating-linear-gradient(90deg, var(--ink) 0 4px, transparent 4px 7px); height: 2px; border-radius: 0;
}

.chart { padding: 10px 16px 8px; display: flex; flex-direction: column; min-height: 190px; }
.chart header { display: flex; align-items: center; flex-wrap: wrap; gap: 2px 16px; }
.chart ul { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 14px; padding: 0; margin-left: auto; }
.chart li { display: flex; align-items: center; gap: 7px; font-size: 12.5px; color: var(--soft); white-space: nowrap; }
.chart li span { color: var(--text); font-weight: 550; }
.chart canvas {
  display: block; width: 100%; flex: 1; height: 0; min-height: 130px; margin-top: 6px; touch-action: pan-y;
  border-radius: 4px;
}
#tasks { grid-area: tasks; } #calls { grid-area: calls; } #times { grid-area: times; }

aside { grid-area: side; display: flex; flex-direction: column; gap: 14px; }
aside > * { padding: 13px 16px 14px; }
.why { flex: 1; display: flex; flex-direction: column; min-height: 120px; overflow: hidden; }
#changes { list-style: none; padding: 0; margin-top: 6px; flex: 1; min-height: 0; overflow-y: auto; }
#changes li {
  display: grid; grid-template-columns: 1fr auto; gap: 0 10px; padding: 6px 0; border-top: 1px solid var(--grid);
}
#changes li:first-child { border-top: 0; }
#changes b { font-weight: 600; }
#changes time, #changes p { color: var(--soft); font-size: 12.5px; }
#changes p { grid-column: 1 / -1; }
table { border-collapse: collapse; width: 100%; margin-top: 6px; font-size: 12.5px; }
th { font-weight: 500; color: var(--soft); text-align: left; }
td, th[scope=col] { text-align: right; }
td, th { padding: 2px 0 2px 8px; }
th:first-child { padding-left: 0; text-align: left; }
.wide { overflow-x: auto; }
.chart, .tiles { transition: opacity .3s; }
.lost .chart, .lost .tiles { opacity: .45; }

@media (min-width: 1000px) and (min-height: 760px) {
  .frame { height: calc(100vh - 36px); grid-template-rows: auto auto auto repeat(3, minmax(0, 1fr)); }
  aside { min-height: 0; }
}
@media (max-width: 999px) {
  body { padding: 14px 12px 24px; }
  .frame {
    gap: 10px; grid-template-columns: minmax(0, 1fr);
    grid-template-areas: "head" "warn" "tiles" "why" "tasks" "calls" "times" "who" "side";
  }
  .tiles { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10px; }
  .chart { height: 240px; }
  aside { display: contents; }
  .why { grid-area: why; max-height: 180px; } #who { grid-area: who; } .controls { grid-area: side; }
}
@media (max-width: 560px) {
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .tile { padding: 8px 10px 7px; }
  .tile p { font-size: 12px; }
  .tile b { font-size: 23px; letter-spacing: -.04em; }
  .tile small { font-size: 12px; }
  .chart { padding: 10px 12px 6px; height: 236px; }
  .chart ul { margin-left: 0; gap: 0 11px; }
  .chart li { gap: 5px; }
  .chart h2 { width: 100%; }
}
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
</style>
)html";

} // namespace flowguard::detail

#endif
