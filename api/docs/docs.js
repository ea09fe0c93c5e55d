// The reference: openapi.json as readable text. It writes text nodes only.
const wrong = document.getElementById("wrong");
if (wrong) {
  wrong.hidden = !new URLSearchParams(location.search).has("wrong");
} else {
  show(document.getElementById("operations"));
}

async function show(main) {
  let spec;
  try {
    spec = await (await fetch("/openapi.json")).json();
  } catch {
    main.append(el("p", "openapi.json could not be read: is the node running?"));
    return;
  }
  document.getElementById("title").textContent = `${spec.info.title} API ${spec.info.version}`;
  document.getElementById("about").textContent = spec.info.description;
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, op] of Object.entries(methods)) main.append(operation(spec, path, method, op));
  }
}

function operation(spec, path, method, op) {
  const box = el("details");
  box.id = op.operationId;
  box.open = location.hash === `#${op.operationId}`;
  box.append(el("summary", el("b", method.toUpperCase()), el("code", path), el("span", op.summary ?? "")));
  if (op.description) box.append(el("p", op.description));
  if (op.parameters?.length) box.append(parameters(op.parameters));
  for (const [status, response] of Object.entries(op.responses)) {
    const types = Object.entries(response.content ?? {});
    box.append(el("p", el("b", status), ` ${response.description} `, el("span", types.map(([type]) => type).join(", "))));
    if (status === "200") for (const [, body] of types) box.append(el("pre", shape(spec, body.schema, "")));
  }
  box.append(el("p", el("code", `curl '${location.origin}${path}'`)));
  return box;
}

function parameters(list) {
  const body = el("tbody");
  for (const p of list) {
    const s = p.schema ?? {};
    const limits = [s.type === "array" ? `${s.items.type}, may repeat` : s.type, s.default !== undefined && `default ${s.default}`,
      s.minimum !== undefined && `${s.minimum} to ${s.maximum}`].filter(Boolean).join(", ");
    body.append(el("tr", el("td", el("code", p.name)), el("td", p.in), el("td", p.description ?? s.description ?? "", " ", el("span", limits))));
  }
  return el("table", el("thead", el("tr", el("th", "Parameter"), el("th", "In"), el("th", "Meaning"))), body);
}

// shape writes a schema as the JSON that it describes.
function shape(spec, schema, indent) {
  const s = schema.$ref ? spec.components.schemas[schema.$ref.split("/").pop()] : schema;
  const type = Array.isArray(s.type) ? s.type.join(" | ") : s.type ?? "any";
  const inner = indent + "  ";
  if (type.startsWith("object") && s.properties) {
    const fields = Object.entries(s.properties).map(([k, v]) => `${inner}"${k}": ${shape(spec, v, inner)}`);
    return `{\n${fields.join(",\n")}\n${indent}}`;
  }
  if (type.startsWith("array")) return `[${shape(spec, s.items, indent)}, …]`;
  return s.enum ? s.enum.map((v) => `"${v}"`).join(" | ") : type;
}

function el(tag, ...children) {
  const e = document.createElement(tag);
  e.append(...children);
  return e;
}
