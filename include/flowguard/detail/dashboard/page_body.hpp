// page_body.hpp
// ~~~~~~~~~~~~~
// SPDX-License-Identifier: MIT

#ifndef FLOWGUARD_DETAIL_DASHBOARD_PAGE_BODY_HPP
#define FLOWGUARD_DETAIL_DASHBOARD_PAGE_BODY_HPP

#include <string_view>

namespace flowguard::detail {

// The page's body. The dashboard puts its title and its controls, after the scripts, where the comments are.
inline constexpr std::string_view page_body = R"html(
<body class="lost">
<main class="frame">
  <div class="top">
    <h1><!--title--></h1>
    <span id="state" role="status">connecting</span>
    <label id="guards" hidden><span class="unseen">Guard</span><select id="guard"></select></label>
    <div class="group" role="group" aria-label="Time shown">
      <button type="button" data-span="60" aria-pressed="true">1 min</button>
      <button type="button" data-span="300" aria-pressed="false">5 min</button>
      <button type="button" data-span="3600" aria-pressed="false">1 h</button>
    </div>
    <div class="group" role="group" aria-label="What is shown">
      <button type="button" id="pause" aria-pressed="false">Pause</button>
      <button type="button" id="csv" aria-label="Save the numbers as CSV">CSV</button>
      <button type="button" id="png" aria-label="Save the charts as PNG">PNG</button>
    </div>
  </div>

  <div class="card" id="warning" role="alert" hidden></div>

  <div class="tiles">
    <section class="card tile"><h2>Limit</h2><b data-of="limit">–</b><p data-of="limit-note">&nbsp;</p></section>
    <section class="card tile"><h2>In flight</h2><b data-of="in_flight">–</b><p data-of="in_flight-note">&nbsp;</p></section>
    <section class="card tile"><h2>Waiting</h2><b data-of="waiting">–</b><p data-of="waiting-note">&nbsp;</p></section>
    <section class="card tile"><h2>Served and rejected</h2>
      <b><span data-of="goodput">–</span><small>+ <span data-of="rejected">–</span> /s</small></b>
      <p data-of="rejected-note">&nbsp;</p></section>
    <section class="card tile"><h2>Task, p50 and p99</h2>
      <b><span data-of="rtt">–</span><small>ms</small></b><p data-of="rtt-note">&nbsp;</p></section>
    <section class="card tile"><h2>Callers, mean</h2>
      <b><span data-of="callers">–</span><small>ms</small></b><p data-of="callers-note">&nbsp;</p></section>
  </div>

  <section class="card chart" id="tasks">
    <header><h2>Tasks</h2><ul></ul></header>
    <canvas role="img" tabindex="0"></canvas>
  </section>
  <section class="card chart" id="calls">
    <header><h2>Calls per second</h2><ul></ul></header>
    <canvas role="img" tabindex="0"></canvas>
  </section>
  <section class="card chart" id="times">
    <header><h2>Times, ms</h2><ul></ul></header>
    <canvas role="img" tabindex="0"></canvas>
  </section>

  <aside>
    <section class="card why">
      <h2 id="why">Why the limit changed</h2>
      <ol id="changes" aria-labelledby="why" tabindex="0"><li><p>It has not changed yet.</p></li></ol>
    </section>
    <section class="card wide" id="who" hidden>
      <h2>Calls rejected in the time shown</h2>
      <table><thead></thead><tbody></tbody></table>
    </section>
  </aside>
  <p class="unseen" id="told" aria-live="polite"></p>
</main>
<noscript>This page needs JavaScript.</noscript>
<!--controls-->
</body>
</html>
)html";

} // namespace flowguard::detail

#endif
