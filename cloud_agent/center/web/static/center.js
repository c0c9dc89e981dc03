"use strict";
// Keeps the page true: the events say when, the server renders what. No state but what is shown.
(() => {
  const live = document.getElementById("live");
  const fragment = document.getElementById("fragment");
  const charts = [...document.querySelectorAll("[data-chart]")];
  const QUIET_MS = 900;
  let last = Number(document.body.dataset.last), heardAt = Date.now();
  let busy = false, due = false, plots = new Map();

  const clock = (ms) => new Date(ms).toLocaleTimeString();
  const stale = (is) => {
    live.className = is ? "stale" : "";
    live.textContent = is ? `stale since ${clock(heardAt)}` : "live";
  };

  // Makes one tree like another, and leaves alone what is alike: focus, selection and scrolling stay.
  function morph(here, next) {
    if (here.isEqualNode(next)) return;
    if (here.nodeName !== next.nodeName) { here.replaceWith(next); return; }
    if (here.nodeType === Node.TEXT_NODE) { if (here.data !== next.data) here.data = next.data; return; }
    for (const { name } of [...here.attributes]) if (!next.hasAttribute(name)) here.removeAttribute(name);
    for (const { name, value } of next.attributes) if (here.getAttribute(name) !== value) here.setAttribute(name, value);
    const old = [...here.childNodes], fresh = [...next.childNodes];
    fresh.forEach((child, i) => { if (old[i]) morph(old[i], child); else here.append(child); });
    old.slice(fresh.length).forEach((child) => child.remove());
  }

  // At once, and then no more often than QUIET_MS.
  async function refresh() {
    if (busy) { due = true; return; }
    busy = true; due = false;
    try {
      const answer = await fetch(fragment.dataset.fragment, { cache: "no-store" });
      if (answer.ok) {
        const next = fragment.cloneNode();
        next.innerHTML = await answer.text();
        morph(fragment, next);
      }
      if (charts.length) await draw();
    } catch { stale(true); }
    setTimeout(() => { busy = false; if (due) refresh(); }, QUIET_MS);
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const COLOURS = ["--accent", "--two", "--three", "--four"];

  const time = (s) => new Date(s * 1000).toLocaleTimeString([], { hour12: false });

  function plot(element, at, names, columns) {
    const data = [at, ...columns];
    const known = plots.get(element);
    if (known && known.names.join() === names.join()) { known.plot.setData(data); return; }
    if (known) known.plot.destroy();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const options = {
      width: element.clientWidth, height: 160,
      series: [{}, ...names.map((label, i) => ({ label, stroke: colour(COLOURS[i % COLOURS.length]), width: 2, points: { show: false }, spanGaps: true }))],
      axes: [{ ...axis, space: 90, values: (_, ticks) => ticks.map(time) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((v) => Math.abs(v) >= 1000 ? `${v / 1000}k` : `${v}`) }],
      scales: { y: { range: (_, least, most) => (least === most ? [Math.min(least, 0), Math.max(most, 1)] : uPlot.rangeNum(least, most, 0.1, true)) } },
      cursor: { y: false }, legend: { live: false },
    };
    plots.set(element, { names, plot: new uPlot(options, data, element) });
  }

  async function draw() {
    const answer = await fetch(charts[0].closest("[data-history]").dataset.history, { cache: "no-store" });
    if (!answer.ok) return;
    const history = await answer.json();
    for (const element of charts) {
      const columns = history.charts[element.dataset.chart] || {}, names = Object.keys(columns);
      plot(element, history.at, names, names.map((name) => columns[name]));
    }
  }

  function listen() {
    const source = new EventSource(`/events?after=${last}`);
    source.addEventListener("fleet", (event) => {
      last = Number(event.lastEventId); heardAt = Date.now();
      stale(false);
      refresh();
    });
    source.onopen = () => { heardAt = Date.now(); stale(false); };
    source.onerror = () => stale(true);
  }

  const pairs = (text) => Object.fromEntries(
    text.trim().split(/[\s;]+(?=[\w.]+=)/).filter(Boolean).map((each) => {
      const at = each.indexOf("=");
      return at < 0 ? [each, ""] : [each.slice(0, at), each.slice(at + 1)];
    }),
  );

  for (const form of document.querySelectorAll("form[data-order]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const says = form.querySelector("output"), what = event.submitter.value;
      const { bundle, settings, to, token } = Object.fromEntries(new FormData(form));
      let body = { bundle, to };
      if (what === "rollback") body = { to };
      else if (settings !== undefined) body = { settings: pairs(settings), to };
      says.textContent = "…";
      try {
        const answer = await fetch(`/api/${what}`, {
          method: "POST", body: JSON.stringify(body),
          headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        });
        const told = await answer.json();
        says.textContent = told.error || told.rollout?.reason || `${(told.changed || Object.keys(told.back || {}) || []).length || "some"} agents were told`;
      } catch (error) { says.textContent = String(error); }
    });
  }

  addEventListener("resize", () => {
    for (const [element, { plot: one }] of plots) one.setSize({ width: element.clientWidth, height: 160 });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { plot: one } of plots.values()) one.destroy();
    plots = new Map();
    if (charts.length) draw();
  });
  if (charts.length) draw();
  listen();
})();
