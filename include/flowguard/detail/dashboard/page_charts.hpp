// page_charts.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_PAGE_CHARTS_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_PAGE_CHARTS_HPP

#include <string_view>

namespace flowguard::detail {

// The first part of the page's script: the charts. They draw `rows`, which the second part makes of the samples.
inline constexpr std::string_view page_charts = R"js(
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const element = id => document.getElementById(id);
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const whole = x => Math.round(x).toLocaleString("en").replaceAll(",", "\u202f");
const fine = x => x >= 100 ? whole(x) : x >= 10 ? x.toFixed(0) : x.toFixed(1);

let span = 60;      // the seconds shown
let rows = [];      // what is drawn, the oldest first
let marks = [];     // of the application: {t, text}
let skew = null;    // of the server's clock, in seconds
let paused = null;  // the server's time at which the page was paused
let pointed = null; // the time under the pointer, in seconds before the right edge; null: none

const gutter = 40, foot = 17, head = 6;
const font = `11px ${getComputedStyle(document.body).fontFamily}`;
const ink_names = ["text", "soft", "grid", "card", "edge", "limit", "flight", "waiting", "goodput", "rejected",
                   "dropped", "p99", "p50", "callers", "reference"];
let ink = {};
function read_inks() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ink_names) ink[name] = style.getPropertyValue("--" + name).trim();
}

// The server's time at the right edge. It is a little late, so that new points slide in.
const now = () => paused ?? (skew === null ? 0 : performance.now() / 1000 - skew - .3);

const charts = [
  ["tasks", [
    {of: "limit", name: "limit", ink: "limit", width: 2.5, step: true},
    {of: "in_flight", name: "in flight", ink: "flight", area: true},
    {of: "waiting", name: "waiting", ink: "waiting"}], whole, 4],
  ["calls", [
    {of: "goodput", name: "served", ink: "goodput", area: true, width: 2},
    {of: "rejected", name: "rejected", ink: "rejected", width: 2},
    {of: "dropped", name: "failed by overload", ink: "dropped"}], whole, 10],
  ["times", [
    {of: "p50", name: "task p50", ink: "p50", area: true},
    {of: "p99", name: "task p99", ink: "p99", width: 2},
    {of: "waited", name: "waited p99", ink: "callers"},
    {of: "baseline", name: "without queueing", ink: "reference", dashes: [5, 4]}], fine, 4],
].map(([id, own, format, least], index) => {
  const canvas = element(id).querySelector("canvas");
  const chart = {id, own, series: own, format, least, canvas, pen: canvas.getContext("2d"), first: index === 0,
                 top: least, goal: least, low_since: 0};
  canvas.addEventListener("pointerdown", event => point_at(chart, event));
  canvas.addEventListener("pointermove", event => point_at(chart, event));
  for (const end of ["pointerleave", "pointercancel", "blur"]) canvas.addEventListener(end, () => point(null));
  canvas.addEventListener("keydown", event => {
    const step = {ArrowLeft: span / 60, ArrowRight: -span / 60, Home: span, End: -span}[event.key];
    if (event.key === "Escape") point(null);
    if (step === undefined) return;
    event.preventDefault();
    point((pointed ?? 0) + step);
    const row = row_at(now() - pointed);
    if (row) element("told").textContent = `${ago_text(pointed)} ago: ` + values_of(chart, row).join(", ");
  });
  new ResizeObserver(() => { fit(chart); draw_chart(chart, now()); }).observe(canvas);
  return chart;
});

// Shows a chart's lines, with those of the application: their names.
function show_lines(chart, added) {
  const names = added.map(v => v.name).join();
  if (chart.names === names) return;
  chart.names = names;
  chart.series = [...chart.own, ...added.map(v => ({of: "value:" + v.name, name: v.name, ink: "reference",
                                                    dashes: [2, 3], step: true}))];
  element(chart.id).querySelector("ul").replaceChildren(...chart.series.map(s => {
    const item = document.createElement("li"), swatch = document.createElement("i");
    swatch.className = s.dashes ? "dashes" : s.area ? "area" : "";
    swatch.style.setProperty("--ink", `var(--${s.ink})`);
    item.append(swatch, s.name);
    return item;
  }));
}

function point(ago) {
  pointed = ago === null ? null : clamp(ago, 0, span);
  if (calm.matches || paused !== null) draw();
}
function point_at({canvas}, event) {
  const box = canvas.getBoundingClientRect();
  point((box.right - event.clientX) / (box.width - gutter) * span);
}
const row_at = t => rows.length === 0 ? null
  : rows.reduce((a, b) => Math.abs(b.t - t) < Math.abs(a.t - t) ? b : a);
const value_text = (format, x) => x === null || x === undefined ? "–" : format(x);
const values_of = ({series, format}, row) => series.map(s => `${s.name} ${value_text(format, row[s.of])}`);
const ago_text = s => s < 100 ? Math.round(s) + " s" : Math.round(s / 60) + " min";

function fit({canvas, pen}) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
}

// The step of the grid: 1, 2 or 5 times a power of ten, so that there are two to four lines.
function step_for(most) {
  const power = 10 ** Math.floor(Math.log10(most / 2));
  return [1, 2, 5, 10].map(x => x * power).find(x => most / x <= 4);
}

// An axis grows at once. It shrinks only after half of it has been empty for five seconds.
function scale(chart, most) {
  const wanted = most => { const step = step_for(most * 1.04); return Math.ceil(most * 1.04 / step) * step; };
  const at = performance.now();
  if (most * 2 > chart.goal) chart.low_since = at;
  if (most * 1.02 > chart.goal || at - chart.low_since > 5000 || paused !== null) chart.goal = wanted(most);
  const near = Math.abs(chart.goal - chart.top) < chart.goal * .005;
  chart.top = calm.matches || near || paused !== null ? chart.goal : chart.top + (chart.goal - chart.top) * .2;
}

function draw_chart(chart, time) {
  const {canvas, pen, series} = chart;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return;
  pen.clearRect(0, 0, width, height);
  pen.font = font;
  const begin = rows.findIndex(r => r.t > time - span);
  const seen = begin < 0 ? [] : rows.slice(Math.max(begin - 1, 0)).filter(r => r.t <= time + 1);
  let most = chart.least;
  for (const r of seen) for (const s of series) most = Math.max(most, r[s.of] ?? 0);
  scale(chart, most);
  const step = step_for(chart.goal);
  const above = chart.first ? 24 : head; // room for the labels of marks
  const x_of = t => width - (time - t) / span * (width - gutter);
  const y_of = v => height - foot - v / chart.top * (height - foot - above);

  pen.lineWidth = 1;
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (let v = 0; v <= chart.top * 1.001; v += step) {
    const y = Math.round(y_of(v)) + .5;
    pen.strokeStyle = ink.grid;
    pen.beginPath(); pen.moveTo(gutter, y); pen.lineTo(width, y); pen.stroke();
    pen.fillStyle = ink.soft;
    pen.fillText(v < 10000 ? whole(v) : v / 1000 + "k", gutter - 8, y);
  }
  pen.textBaseline = "alphabetic";
  for (const part of [0, .25, .5, .75, 1]) {
    pen.textAlign = part === 0 ? "right" : part === 1 ? "left" : "center";
    const text = span <= 60 ? part * span + " s" : +(part * span / 60).toFixed(2) + " min";
    pen.fillText(part > 0 ? text : paused === null ? "now" : "paused", width - part * (width - gutter), height - 2);
  }

  pen.save();
  pen.beginPath(); pen.rect(gutter, 0, width - gutter, height - foot + 1); pen.clip();
  pen.lineJoin = "round";
  for (const s of [...series].reverse()) { // the first is drawn last, on top
    const path = s.area ? [] : null;
    pen.beginPath();
    let last = null;
    for (const r of seen) {
      const v = r[s.of] ?? null;
      const gap = last !== null && r.t - last.t > (time - r.t > 290 ? 40 : 3);
      if (v === null || gap) { if (path && last && gap) fill(); last = null; if (v === null) continue; }
      const x = x_of(r.t), y = y_of(v);
      if (last === null) pen.moveTo(x, y);
      else { if (s.step) pen.lineTo(x, y_of(last[s.of])); pen.lineTo(x, y); }
      if (path) path.push([x, y]);
      last = r;
    }
    pen.setLineDash(s.dashes || []);
    pen.lineWidth = s.width || 1.5;
    pen.strokeStyle = ink[s.ink];
    pen.stroke();
    if (path) fill();

    function fill() {
      if (path.length < 2) { path.length = 0; return; }
      const area = new Path2D();
      area.moveTo(path[0][0], y_of(0));
      for (const [x, y] of path) area.lineTo(x, y);
      area.lineTo(path.at(-1)[0], y_of(0));
      area.closePath();
      pen.globalAlpha = dark.matches ? .28 : .22;
      pen.fillStyle = ink[s.ink];
      pen.fill(area);
      pen.globalAlpha = 1;
      path.length = 0;
    }
  }
  pen.setLineDash([]);
  draw_marks(chart, x_of, above, height, width, time);
  pen.restore();
  if (pointed !== null) draw_pointed(chart, x_of(time - pointed), above, height, width, row_at(time - pointed));
}

function draw_marks(chart, x_of, above, height, width, time) {
  const {pen} = chart;
  let edge = Infinity; // of the label to the right
  for (const mark of [...marks].reverse()) {
    if (mark.t < time - span || mark.t > time) continue;
    const x = Math.round(x_of(mark.t)) + .5;
    pen.lineWidth = 1;
    pen.strokeStyle = ink.reference;
    pen.globalAlpha = .7;
    pen.beginPath(); pen.moveTo(x, above - 6); pen.lineTo(x, height - foot); pen.stroke();
    pen.globalAlpha = 1;
    if (!chart.first) continue;
    const length = pen.measureText(mark.text).width;
    const left = Math.min(x - 1, width - length);
    if (left + length + 10 > edge) continue; // no room
    edge = left;
    pen.textAlign = "left";
    pen.fillStyle = ink.soft;
    pen.fillText(mark.text, left, 12);
  }
}

// A line at the time under the pointer, and the values there in a box beside it.
function draw_pointed(chart, at, above, height, width, row) {
  const {pen} = chart;
  const x = Math.round(at) + .5;
  pen.lineWidth = 1;
  pen.strokeStyle = ink.soft;
  pen.beginPath(); pen.moveTo(x, above - 4); pen.lineTo(x, height - foot); pen.stroke();
  if (!row) return;
  const texts = [...values_of(chart, row), ago_text(pointed) + " ago"];
  const box = Math.max(...texts.map(t => pen.measureText(t).width)) + 28, tall = texts.length * 15 + 8;
  const left = x + 10 + box < width ? x + 10 : x - 10 - box;
  pen.fillStyle = ink.card;
  pen.strokeStyle = ink.edge;
  pen.beginPath(); pen.roundRect(left, above, box, tall, 6); pen.fill(); pen.stroke();
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  texts.forEach((text, i) => {
    const y = above + 12 + i * 15;
    if (i < chart.series.length) { pen.fillStyle = ink[chart.series[i].ink]; pen.fillRect(left + 8, y - 1.5, 9, 3); }
    pen.fillStyle = i < chart.series.length ? ink.text : ink.soft;
    pen.fillText(text, left + 21, y);
  });
}

function draw() {
  const time = now();
  for (const chart of charts) draw_chart(chart, time);
}
let drawn = 0;
function draw_on(at) {
  if (!calm.matches && paused === null && at - drawn > 30) { // drawing more often would not be visible
    drawn = at;
    draw();
  }
  requestAnimationFrame(draw_on);
}
)js";

} // namespace flowguard::detail

#endif
