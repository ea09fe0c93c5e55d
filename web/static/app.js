// The live page. One stream of server-sent events brings each device's newest
// message once a second and the counts; the API brings what was there before.
// Everything is bounded: devices shown, values kept, rows of the feed.
import { river, round, spark } from "/assets/chart.js";

const maxDevices = 100, maxValues = 60, maxFeed = 60, maxSeconds = 120, maxHistory = 40;
const $ = (id) => document.getElementById(id);
const el = (tag, className, ...children) => {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
};

// --- devices -------------------------------------------------------------

const devices = new Map(); // id → {row, …}, at most maxDevices
const dirty = new Set();
let registered = 0, sending = 0;

function device(id) {
  let d = devices.get(id);
  if (d || devices.size >= maxDevices) return d;
  const link = el("a", "", id), age = el("span", "age"), values = el("div", "values", "no values yet"), chart = spark();
  link.href = `/devices/${encodeURIComponent(id)}/telemetry?hours=1`;
  link.title = id;
  const dot = el("span", "dot");
  dot.setAttribute("role", "img");
  dot.setAttribute("aria-label", "not connected");
  const row = el("li", "", el("div", "name", dot, link, age), values, chart.element);
  d = { id, row, age, dot, valuesCell: values, chart, connected: false, seen: 0, latest: null, series: [], measure: "" };
  devices.set(id, d);
  const list = $("device-list");
  const after = [...list.children].find((other) => other.dataset.id > id);
  row.dataset.id = id;
  list.insertBefore(row, after ?? null);
  return d;
}

// readings are the values that a body holds, by device: a gateway sends an
// array of what it read from others ({deviceId, data}).
function readings(sender, body) {
  const found = new Map();
  for (const item of Array.isArray(body) ? body : [body]) {
    if (item === null || typeof item !== "object") continue;
    const nested = item.data !== null && typeof item.data === "object" && !Array.isArray(item.data);
    const id = typeof item.deviceId === "string" && item.deviceId ? item.deviceId : sender;
    found.set(id, numbers(nested ? item.data : item));
  }
  if (found.size === 0) found.set(sender, []);
  return found;
}

const clocks = /^(ts|time|timestamp|seq|sequence|messageid)$/i;

function numbers(object) {
  return Object.entries(object).filter(([k, v]) => typeof v === "number" && !clocks.test(k)).slice(0, 5);
}

function take(id, values, when) {
  const d = device(id);
  if (!d) return;
  d.seen = Math.max(d.seen, when);
  if (values.length > 0) {
    d.latest = values;
    if (!values.some(([k]) => k === d.measure)) [d.measure, d.series] = [values[0][0], []];
    d.series.push(values.find(([k]) => k === d.measure)[1]);
    if (d.series.length > maxValues) d.series.shift();
  }
  dirty.add(d);
}

function drawDevices() {
  for (const d of dirty) {
    if (d.latest) d.valuesCell.replaceChildren(...d.latest.map(([k, v]) => el("span", "", `${k} `, el("b", "", round(v)))));
    if (d.series.length > 0) d.chart.draw(d.series, d.measure);
    if (String(d.connected) !== d.row.dataset.connected) {
      d.row.dataset.connected = d.connected;
      d.dot.setAttribute("aria-label", d.connected ? "connected" : "not connected");
    }
  }
  dirty.clear();
  const now = Date.now();
  for (const d of devices.values()) {
    const text = d.seen ? ago(now - d.seen) : "";
    if (d.age.textContent !== text) d.age.textContent = text;
  }
  $("device-count").textContent = devices.size === 0 ? "" : `${registered || devices.size} registered, ${sending} sent in the last second`;
  $("more").hidden = registered <= devices.size;
  $("more").textContent = `${registered - devices.size} more: see /devices`;
}

function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 3) return "now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ago` : `${Math.floor(s / 86400)} d ago`;
}

// --- feed ----------------------------------------------------------------

let paused = false;
let arrived = []; // of this second
let shown = []; // newest first, at most maxFeed

$("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", String(paused));
  event.currentTarget.textContent = paused ? "Resume" : "Pause";
});

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function feedRow(m) {
  const text = m.body !== undefined ? JSON.stringify(m.body) : m.text ?? (m.base64 ? `${m.base64.length * 0.75 | 0} bytes that are not text` : "");
  const time = el("time", "", clock.format(new Date(m.enqueuedAt)));
  time.dateTime = m.enqueuedAt;
  const body = el("span", "body", text.length > 300 ? `${text.slice(0, 300)}…` : text);
  return el("li", "", time, el("span", "from", m.deviceId), body);
}

// drawFeed makes new rows instead of moving old ones, which readers of the
// screen and the eye would have to follow.
function drawFeed() {
  if (!paused && arrived.length > 0) {
    arrived.sort((a, b) => (a.enqueuedAt < b.enqueuedAt ? 1 : -1));
    shown = [...arrived, ...shown].slice(0, maxFeed);
    $("feed").replaceChildren(...shown.map(feedRow));
  }
  arrived = [];
}

// --- alerts --------------------------------------------------------------

const maxAlerts = 20;
let newestAlert = "";

function alertRow(a) {
  const time = el("time", "", clock.format(new Date(a.time)));
  time.dateTime = a.time;
  const text = JSON.stringify(a.row);
  return el("li", "", time, el("span", "from", a.job), el("span", "body", text.length > 300 ? `${text.slice(0, 300)}…` : text));
}

async function checkAlerts() {
  if (document.hidden) return;
  const response = await fetch(`/alerts?limit=${maxAlerts}`);
  if (!response.ok) return;
  const { alerts } = await response.json();
  const newest = alerts[0]?.id ?? "";
  if (newest === newestAlert) return;
  newestAlert = newest;
  $("alerts").replaceChildren(...alerts.map(alertRow));
}

// --- rate ----------------------------------------------------------------

const perSecond = [];
const drawRiver = river($("river"), maxSeconds);
const thousands = new Intl.NumberFormat();

function rated(r) {
  perSecond.push((r.messages * 1000) / r.millis);
  if (perSecond.length > maxSeconds) perSecond.shift();
  sending = r.devices;
  if (document.hidden) return;
  const last = perSecond.slice(-5);
  const mean = last.reduce((a, b) => a + b, 0) / last.length;
  $("rate").textContent = mean > 0 && mean < 10 ? mean.toFixed(1) : thousands.format(Math.round(mean));
  drawRiver(perSecond);
}

// --- health --------------------------------------------------------------

let streaming = true;
const durable = { sync: "acknowledged after the disk has it", interval: "acknowledged before the disk has it", memory: "kept in memory only" };

async function checkHealth() {
  let state = "bad", text = "The node does not answer. Is it running?";
  try {
    const h = await (await fetch("/healthz")).json();
    const d = h.details;
    const parts = [{ ok: "Working", starting: "Starting", failing: "Failing" }[h.status]];
    parts.push(...(d?.problems ?? []));
    if (durable[h.durability]) parts.push(durable[h.durability]);
    if (d) parts.push(`${d.devices.connected} of ${d.devices.total} devices connected`);
    for (const c of d?.consumers ?? []) if (c.lag > 1000) parts.push(`${c.name} is ${thousands.format(c.lag)} messages behind`);
    state = h.status === "failing" ? "bad" : h.status === "starting" || !streaming || h.durability === "memory" ? "warn" : "ok";
    if (!streaming) parts.unshift("Reconnecting to the live stream…");
    if (d) registered = d.devices.total;
    text = parts.join(" · ");
  } catch {
    // The text above says it.
  }
  $("health").dataset.state = state;
  if ($("health-text").textContent !== text) $("health-text").textContent = text;
}

// --- what was there before the page --------------------------------------

async function checkDevices(history) {
  const response = await fetch(`/devices?limit=${maxDevices}`);
  if (!response.ok) return;
  const rows = (await response.json()).devices;
  for (const row of rows) {
    const d = device(row.deviceId);
    if (!d) break;
    d.connected = row.connectionState === "Connected";
    if (row.lastActivity) d.seen = Math.max(d.seen, Date.parse(row.lastActivity));
    dirty.add(d);
  }
  registered = Math.max(registered, rows.length);
  $("empty").hidden = devices.size > 0;
  $("main").hidden = false;
  if (history) for (const row of rows.filter((r) => r.lastActivity).slice(0, maxHistory)) await recall(row.deviceId);
  drawDevices();
}

// recall takes the newest values of the hot store, so that slow devices show something at once.
async function recall(id) {
  const response = await fetch(`/devices/${encodeURIComponent(id)}/telemetry?limit=${maxValues}`);
  if (!response.ok || devices.get(id)?.series.length > 5) return;
  const d = device(id);
  if (d) d.series = [];
  for (const row of (await response.json()).telemetry.reverse()) {
    for (const [from, values] of readings(id, row.data)) take(from, values, row.timestamp * 1000);
  }
}

// --- the stream ----------------------------------------------------------

function connect() {
  const stream = new EventSource(`/live?every=1000&from=${Math.floor(Date.now() / 1000) - 10}`);
  stream.addEventListener("open", () => { if (!streaming) { streaming = true; checkHealth(); } });
  stream.addEventListener("message", (event) => {
    const m = JSON.parse(event.data);
    if (m.source !== "Telemetry") return;
    for (const [id, values] of readings(m.deviceId, m.body)) take(id, values, Date.parse(m.enqueuedAt));
    arrived.push(m);
  });
  stream.addEventListener("rate", (event) => {
    rated(JSON.parse(event.data));
    $("empty").hidden = devices.size > 0;
    if (document.hidden) { arrived = []; return; }
    drawDevices();
    drawFeed();
  });
  stream.addEventListener("error", () => {
    streaming = false;
    checkHealth();
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 5000); // refused: too many tails, or signed out
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const label = button.firstChild;
    try {
      await navigator.clipboard.writeText($(button.dataset.copy).textContent);
      label.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren($(button.dataset.copy));
      label.textContent = "Selected";
    }
    setTimeout(() => { label.textContent = "Copy"; }, 2000);
  });
}

connect();
checkHealth();
checkDevices(true).catch(checkHealth).finally(() => { $("main").hidden = false; });
setInterval(checkHealth, 5000);
checkAlerts().catch(checkHealth);
setInterval(() => checkAlerts().catch(checkHealth), 2000);
setInterval(() => checkDevices(false).catch(checkHealth), 10000);
