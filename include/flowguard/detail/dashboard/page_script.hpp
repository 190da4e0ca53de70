// page_script.hpp
// ~~~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_PAGE_SCRIPT_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_PAGE_SCRIPT_HPP

#include <string_view>

namespace flowguard::detail {

// The second part of the page's script: what the server sends, the numbers, the reasons, and the tools.
inline constexpr std::string_view page_script = R"js(
const priorities = ["critical_plus", "critical", "sheddable_plus", "sheddable"];
const rejections = ["no permit free", "queue full", "waited too long", "timed out", "cancelled", "closed"];
const wait_bounds = [.05, .1, .25, .5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 2.5e4, 5e4]; // ms

let points = [];    // the samples of all guards, the oldest first
let decisions = []; // on the limits of all guards, the latest first
let shown = null;   // the name of the guard that is shown
const listeners = [];

// What the page offers to the application's controls: see docs/dashboard.md.
window.flowguard = {
  on_row: listener => { listeners.push(listener); replay(); },
  mark: (t, text) => { marks.push({t, text}); marks = marks.slice(-200); },
};

// Rows

const sum = list => list.reduce((a, b) => a + b, 0);
const total_rejected = g => sum(g.rejected.map(sum));

// The time that a share of the waits was shorter than, of those between two histograms.
function quantile(before, after, share) {
  const counts = after.map((n, i) => Math.max(n - before[i], 0)), all = sum(counts);
  if (all === 0) return null;
  let rank = share * all, i = 0;
  while (i < counts.length - 1 && rank > counts[i]) rank -= counts[i++];
  const low = i === 0 ? 0 : wait_bounds[i - 1], high = wait_bounds[i] ?? low;
  return low + (high - low) * (counts[i] > 0 ? Math.min(rank / counts[i], 1) : 1);
}

const guard_of = point => point.guards.find(g => g.name === shown);

// What is drawn of a sample. Rates are over a second or more before it.
function row_of(index) {
  const point = points[index], g = guard_of(point);
  if (!g) return null;
  let i = index - 1;
  while (i > 0 && point.t - points[i].t < .95) --i;
  const past = i >= 0 ? points[i] : point, b = guard_of(past) ?? g, time = Math.max(point.t - past.t, .001);
  const rate = name => Math.max(g[name] - b[name], 0) / time;
  const admitted = g.admitted - b.admitted, timed = g.rtt_count - b.rtt_count;
  const row = {t: point.t, at: point.at, guard: g, limit: g.limit, in_flight: g.in_flight, waiting: sum(g.waiting),
    goodput: rate("succeeded"), dropped: rate("dropped"),
    rejected: Math.max(total_rejected(g) - total_rejected(b), 0) / time, p50: g.p50, p99: g.p99,
    baseline: g.baseline, waited: admitted > 0 ? quantile(b.waits, g.waits, .99) ?? 0 : null,
    mean_wait: admitted > 0 ? (g.waited - b.waited) / admitted : null,
    callers: admitted > 0 && timed > 0 ? (g.waited - b.waited) / admitted + (g.rtt_sum - b.rtt_sum) / timed : null,
    values: Object.fromEntries(g.values.map(v => [v.name, v.value]))};
  for (const v of g.values) row["value:" + v.name] = v.value;
  return row;
}

// Makes all rows anew: of another guard, or after samples were left out.
function make_rows() {
  rows = points.map((_, i) => row_of(i)).filter(r => r !== null);
}
function replay() {
  marks = [];
  rows.forEach((row, i) => { for (const listener of listeners) listener(row, rows[i - 1] ?? null, i < rows.length - 1); });
}

// Leaves out samples as the server does: one a second after a minute, one in 15 seconds after five minutes.
function thin() {
  const t = points.at(-1)?.t ?? 0;
  let last = null;
  points = points.filter(p => {
    const age = t - p.t, part = age < 65 ? 0 : age < 305 ? 1 : 15;
    const bucket = part === 0 ? p.t : part + ":" + Math.floor(p.t / part);
    const keep = age < 3660 && bucket !== last;
    last = bucket;
    return keep;
  });
  make_rows();
}
setInterval(() => { if (paused === null) thin(); }, 5000);

// Numbers

const fields = Object.fromEntries([...document.querySelectorAll("[data-of]")].map(e => [e.dataset.of, e]));
const set_text = (e, text) => { if (e.textContent !== text) e.textContent = text; };
const say = (field, text) => set_text(fields[field], text);
const share = (part, of) => Math.round(of > 0 ? 100 * part / of : 0) + " %";

function show() {
  const r = paused === null ? rows.at(-1) : row_at(paused);
  if (!r) return;
  const g = r.guard;
  charts.forEach((chart, i) => show_lines(chart, g.values.filter(v => v.chart === i + 1)));
  say("limit", g.spacing > 0 ? "< 1" : whole(r.limit));
  say("limit-note", g.pinned ? "pinned" : g.spacing > 0 ? `one task every ${fine(g.spacing)} ms` : g.reason || "\u00a0");
  say("in_flight", whole(r.in_flight));
  say("in_flight-note", share(r.in_flight, r.limit) + " of the limit" +
    (g.long_lived ? `, and ${whole(g.long_lived)} long-lived` : ""));
  say("waiting", whole(r.waiting));
  const waits = priorities.map((name, i) => [name, g.waiting[i]]).filter(([, n]) => n > 0);
  say("waiting-note", waits.length > 1 ? waits.map(([name, n]) => `${name} ${n}`).join(", ") : "for a permit");
  say("goodput", whole(r.goodput));
  say("rejected", whole(r.rejected));
  say("rejected-note", share(r.rejected, r.rejected + r.goodput) + " rejected" +
    (r.dropped > 0 ? `, ${whole(r.dropped)}/s failed by overload` : ""));
  say("rtt", r.p99 > 0 ? `${fine(r.p50)} / ${fine(r.p99)}` : "–");
  say("rtt-note", r.baseline > 0 ? `without queueing ${fine(r.baseline)}` : "not known yet");
  say("callers", r.callers === null ? "–" : fine(r.callers));
  say("callers-note", r.mean_wait === null ? "no calls" : `of which ${fine(r.mean_wait)} waiting`);
  show_changes(r.t);
  show_rejections();
  warn(r);
}

const age = s => s < 1 ? "now" : s < 100 ? Math.floor(s) + " s ago" : Math.floor(s / 60) + " min ago";

// Joins steps of the limit in one direction for the same reason, and a probe with the way back up. Leaves out small
// steps: even a settled limit goes up and down a little.
function changes_of(list) {
  const joined = [];
  for (const c of [...list].reverse()) {
    const last = joined[0];
    if (last && last.probe && last.probe === c.before) Object.assign(last, {limit: c.limit, probe: c.probe || last.probe});
    else if (last && !last.probe && last.why === c.why && last.limit === c.before &&
             c.limit > c.before === last.limit > last.before) joined[0] = {...c, before: last.before};
    else joined.unshift({...c});
  }
  return joined.filter(c => c.probe || Math.abs(c.limit - c.before) >= Math.max(2, c.before / 10)).slice(0, 30);
}

// The numbers that a decision is based on: how many of the tasks in flight queued, by how much longer they took.
function numbers_of(c) {
  if (!c.samples && !c.dropped) return "";
  const queue = c.rtt > c.baseline && c.baseline > 0 ? c.in_flight * (1 - c.baseline / c.rtt) : 0;
  const rtt = c.rtt > 0 ? `, RTT ${fine(c.rtt)} ms` + (c.baseline > 0 ? ` (${fine(c.baseline)} without queueing)` : "") : "";
  return `${fine(c.in_flight)} in flight, ${fine(queue)} of them queued${rtt}` +
    (c.dropped ? `, ${whole(c.dropped)} failed by overload` : "");
}

function show_changes(time) {
  const told = changes_of(decisions.filter(c => c.guard === shown && c.t <= time + 1));
  const list = element("changes");
  if (!told.length && list.querySelector("b") === null) return;
  while (list.children.length > told.length) list.lastChild.remove();
  told.forEach((c, i) => {
    const item = list.children[i] || list.appendChild(document.createElement("li"));
    if (item.children.length !== 4)
      item.replaceChildren(...["b", "time", "p", "p"].map(e => document.createElement(e)));
    const [what, when, why, numbers] = item.children;
    const arrow = (from, to) => to > from ? " ↗ " : " ↘ ";
    set_text(what, c.before + (c.probe ? " ↘ " + c.probe : "") + arrow(c.probe || c.before, c.limit) + c.limit);
    set_text(when, age(time - c.t));
    set_text(why, c.why);
    set_text(numbers, numbers_of(c));
  });
}

function cell(tag, text, scope) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (scope) made.scope = scope;
  return made;
}
function line(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}
function show_rejections() {
  const time = now(), seen = rows.filter(r => r.t > time - span && r.t <= time + 1);
  if (!seen.length) return;
  const from = seen[0].guard.rejected, to = seen.at(-1).guard.rejected;
  const counts = rejections.map((_, why) => to.map((of, p) => Math.max(of[why] - (from[p]?.[why] ?? 0), 0)));
  const told = rejections.map((name, i) => [name, counts[i]]).filter(([, list]) => sum(list) > 0);
  const key = JSON.stringify(told);
  if (show_rejections.key === key) return;
  show_rejections.key = key;
  element("who").hidden = told.length === 0;
  const partitions = to.length > 1 ? to.map((_, p) => cell("th", "partition " + p, "col")) : [cell("th", "calls", "col")];
  element("who").querySelector("thead").replaceChildren(line(cell("th", "reason", "col"), ...partitions));
  element("who").querySelector("tbody").replaceChildren(...told.map(([name, list]) =>
    line(cell("th", name, "row"), ...list.map(n => cell("td", whole(n))))));
}

// A baseline that has risen to twice what it was is what an operator should know first.
function warn(r) {
  const low = rows.reduce((a, b) => b.baseline > 0 && (a === null || b.baseline < a.baseline) ? b : a, null);
  let text = "";
  if (low && r.baseline >= 2 * low.baseline && r.baseline > low.baseline + .1)
    text = `Without queueing, a task takes ${fine(r.baseline)} ms now. ${age(r.t - low.t)}, it took ` +
      `${fine(low.baseline)} ms. The guarded service has become slower, or the tasks are other ones.`;
  if (r.guard.pinned) text = `The limit is pinned to ${whole(r.limit)} by an operator. ` + text;
  const at = performance.now();
  if (!text === element("warning").hidden && at - (warn.at ?? -1e9) < 10000) return; // not read aloud all the time
  warn.at = at;
  element("warning").hidden = !text;
  set_text(element("warning"), text);
}

// Descriptions for screen readers, which should not change often.
setInterval(() => {
  for (const chart of charts)
    chart.canvas.setAttribute("aria-label", `${element(chart.id).querySelector("h2").textContent}, now: ` +
      (rows.length ? values_of(chart, rows.at(-1)).join(", ") : "unknown") + ". Arrow keys show earlier values.");
}, 5000);
for (const chart of charts) chart.canvas.setAttribute("aria-label", element(chart.id).querySelector("h2").textContent);
)js"
                                                R"js(
// Tools

for (const button of document.querySelectorAll("[data-span]"))
  button.onclick = () => {
    span = Number(button.dataset.span);
    for (const other of document.querySelectorAll("[data-span]"))
      other.setAttribute("aria-pressed", String(other === button));
    for (const chart of charts) chart.low_since = -1e9;
    show();
    draw();
  };
element("pause").onclick = () => {
  const time = now();
  paused = paused === null ? time : null;
  element("pause").setAttribute("aria-pressed", String(paused !== null));
  if (paused === null) thin();
  show();
  draw();
};
element("guard").onchange = () => { shown = element("guard").value; make_rows(); replay(); show(); draw(); };

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
const csv_columns = ["limit", "in_flight", "waiting", "goodput", "rejected", "dropped", "p50", "p99", "baseline",
                     "waited", "mean_wait", "callers"];
function csv_text() {
  const time = now(), seen = rows.filter(r => r.t > time - span && r.t <= time + 1);
  const values = Object.keys(seen.at(-1)?.values ?? {});
  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const lines = seen.map(r => [new Date(r.at * 1000).toISOString(), ...csv_columns.map(c => r[c] ?? ""),
                               ...values.map(v => r.values[v] ?? "")].join());
  return [["time", ...csv_columns, ...values].map(quoted).join(), ...lines].join("\n") + "\n";
}
element("csv").onclick = () => save(`flowguard_${shown}.csv`, new Blob([csv_text()], {type: "text/csv"}));

// All charts in one picture, with their titles and lines.
function picture() {
  const ratio = window.devicePixelRatio || 1, width = charts[0].canvas.clientWidth + 32;
  const above = 34, heights = charts.map(c => c.canvas.clientHeight + above);
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = width * ratio;
  canvas.height = (40 + sum(heights)) * ratio;
  pen.scale(ratio, ratio);
  pen.fillStyle = ink.card;
  pen.fillRect(0, 0, width, 40 + sum(heights));
  pen.font = font;
  pen.fillStyle = ink.text;
  pen.fillText(`${document.title}, ${shown}, ${new Date((rows.at(-1)?.at ?? 0) * 1000).toISOString()}`, 16, 22);
  let y = 40;
  charts.forEach((chart, i) => {
    let x = 16;
    pen.fillStyle = ink.text;
    pen.fillText(element(chart.id).querySelector("h2").textContent, x, y + 16);
    x += 130;
    for (const s of chart.series) {
      pen.fillStyle = ink[s.ink];
      pen.fillRect(x, y + 11, 14, 3);
      pen.fillStyle = ink.soft;
      pen.fillText(s.name, x + 20, y + 16);
      x += pen.measureText(s.name).width + 36;
    }
    pen.drawImage(chart.canvas, 16, y + 26, chart.canvas.clientWidth, chart.canvas.clientHeight);
    y += heights[i];
  });
  return canvas;
}
element("png").onclick = () => picture().toBlob(blob => save(`flowguard_${shown}.png`, blob));

// What the server sends

function take(point, added) {
  if (points.length && point.t <= points.at(-1).t) return; // in the snapshot already
  points.push(point);
  for (const d of added) decisions.unshift(d);
  decisions.length = Math.min(decisions.length, 500);
  const names = point.guards.map(g => g.name);
  if (!names.includes(shown)) shown = names[0] ?? null;
  const select = element("guard");
  if (select.dataset.names !== names.join("\n")) {
    select.dataset.names = names.join("\n");
    select.replaceChildren(...names.map(name => { const o = cell("option", name); o.value = name; return o; }));
    select.value = shown;
    element("guards").hidden = names.length < 2;
  }
  const ahead = performance.now() / 1000 - point.t;
  skew = skew === null || Math.abs(ahead - skew) > .6 ? ahead : skew + (ahead - skew) * .05;
  const row = row_of(points.length - 1);
  if (!row) return;
  rows.push(row);
  for (const listener of listeners) listener(row, rows.at(-2) ?? null, false);
}

function set_state(live, text) {
  document.body.classList.toggle("live", live);
  document.body.classList.toggle("lost", !live);
  set_text(element("state"), text);
}

let frame = 0;
function listen() {
  const source = new EventSource("events");
  let early = []; // events that come before the snapshot
  source.onopen = async () => {
    early = [];
    try {
      const answer = await fetch("snapshot", {cache: "no-store"});
      const snapshot = await answer.json();
      points = snapshot.points;
      decisions = snapshot.decisions.sort((a, b) => b.t - a.t);
      skew = null;
      if (paused === null || paused > (points.at(-1)?.t ?? 0) + 1) { // the server was started again
        paused = null;
        element("pause").setAttribute("aria-pressed", "false");
      }
      shown ??= points.at(-1)?.guards[0]?.name ?? null;
      make_rows();
      replay();
      const waiting = early;
      early = null;
      for (const {point, decisions} of waiting) take(point, decisions);
      set_state(true, "live");
      show();
    } catch {
      source.close();
      set_state(false, "reconnecting");
      setTimeout(listen, 2000);
    }
  };
  source.onerror = () => {
    set_state(false, "reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
  source.onmessage = event => {
    const {point, decisions} = JSON.parse(event.data);
    if (early) { early.push({point, decisions}); return; }
    take(point, decisions);
    clearTimeout(frame);
    frame = setTimeout(() => { // once for all events that come together
      if (paused === null) show();
      if (calm.matches && paused === null) draw();
    });
  };
}

addEventListener("DOMContentLoaded", () => {
  for (const controls of document.querySelectorAll(".controls")) document.querySelector("aside").append(controls);
});
read_inks();
dark.addEventListener("change", () => { read_inks(); draw(); });
listen();
requestAnimationFrame(draw_on);
)js";

} // namespace flowguard::detail

#endif
