// Two small charts as SVG: a line per device, and the river in the header.

const svg = (name, attributes) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
};

// spark returns a line chart; draw(values, label) shows other values in it.
export function spark() {
  const element = svg("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": "no values yet" });
  const line = element.appendChild(svg("polyline", { points: "" }));
  const draw = (values, label) => {
    const min = Math.min(...values), span = Math.max(...values) - min;
    const step = 100 / Math.max(1, values.length - 1);
    line.setAttribute("points", values.length < 2 ? "" :
      values.map((v, i) => `${(i * step).toFixed(1)},${(span === 0 ? 15 : 27 - (24 * (v - min)) / span).toFixed(1)}`).join(" "));
    element.setAttribute("aria-label", `${label}, last ${values.length} values: ${round(min)} to ${round(min + span)}`);
  };
  return { element, draw };
}

// river draws counts, newest at the right edge, as an area 600 wide and 72
// high. It begins with a short stretch of time and ends with length counts.
export function river(element, length) {
  const area = element.appendChild(svg("path", { class: "area" }));
  const crest = element.appendChild(svg("path", { class: "crest" }));
  return (counts) => {
    if (counts.length < 2) return;
    const top = Math.max(1, ...counts) * 1.15;
    const step = 600 / (Math.min(length, Math.max(20, counts.length)) - 1), begin = 600 - (counts.length - 1) * step;
    const points = counts.map((c, i) => `${(begin + i * step).toFixed(1)},${(70 - (66 * c) / top).toFixed(1)}`);
    crest.setAttribute("d", `M${points.join("L")}`);
    area.setAttribute("d", `M${begin.toFixed(1)},72L${points.join("L")}L600,72Z`);
  };
}

// round shows a number with as many digits as people read, and none that was not measured.
export function round(v) {
  const size = Math.abs(v);
  if (Number.isInteger(v) && size < 1e7) return String(v);
  return size !== 0 && (size >= 1e7 || size < 1e-3) ? v.toExponential(2) : String(Number(v.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : 2)));
}
