// Lists the operations of /openapi.json and sends requests to this edge. Nothing is loaded from elsewhere, and
// everything that comes from the document or a reply is put into the page as text.
"use strict";

const byId = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function resolve(spec, node) {
  let found = node;
  while (found && found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((part, key) => part[key.replace(/~1/g, "/").replace(/~0/g, "~")], spec);
  }
  return found || {};
}

// A value of the schema's shape to start from; required fields first, at most a few levels deep.
function example(spec, schema, depth = 0) {
  const shape = resolve(spec, schema);
  if (shape.examples && shape.examples.length) return shape.examples[0];
  if (shape.example !== undefined) return shape.example;
  if (shape.default !== undefined) return shape.default;
  if (shape.enum) return shape.enum.find((name) => !String(name).endsWith("_UNSPECIFIED")) ?? shape.enum[0];
  const choices = shape.oneOf || shape.anyOf || shape.allOf;
  if (choices && !shape.properties) return example(spec, choices[0], depth);
  const type = Array.isArray(shape.type) ? shape.type[0] : shape.type;
  if (shape.properties || type === "object") {
    if (depth > 4) return {};
    const entries = Object.entries(shape.properties || {}).filter(([, field]) => !resolve(spec, field).readOnly);
    return Object.fromEntries(entries.map(([name, field]) => [name, example(spec, field, depth + 1)]));
  }
  if (type === "array") return depth > 4 ? [] : [example(spec, shape.items || {}, depth + 1)];
  if (type === "boolean") return false;
  if (type === "integer" || type === "number") return shape.minimum > 0 ? shape.minimum : 0;
  if (shape.format === "int64" || shape.format === "uint64") return "0";
  if (shape.format === "uuid") return crypto.randomUUID();
  if (shape.format === "date-time") return new Date().toISOString().replace(/\.\d+Z$/, "Z");
  return "";
}

function inputFor(spec, parameter) {
  const schema = resolve(spec, parameter.schema);
  const properties = { name: parameter.name, title: parameter.description || "" };
  if (schema.enum) {
    const options = ["", ...schema.enum].map((value) => element("option", { value, textContent: value }));
    return element("select", properties, ...options);
  }
  return element("input", { ...properties, required: parameter.in === "path", placeholder: schema.format || "" });
}

function target(path, fields) {
  const query = new URLSearchParams();
  let filled = path;
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") {
      filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    } else if (parameter.in === "query" && input.value !== "") {
      query.append(parameter.name, input.value);
    }
  }
  return query.size ? `${filled}?${query}` : filled;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(verb, url, body, shown, signal) {
  const headers = { accept: "application/json, application/x-ndjson" };
  const token = byId("token").value.trim().replace(/^Bearer\s+/i, "");
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const started = performance.now();
  const reply = await fetch(url, { method: verb, headers, body, signal, cache: "no-store" });
  const line = () => `${reply.status} ${reply.statusText}  ${Math.round(performance.now() - started)} ms  ${reply.headers.get("x-request-id") || ""}\n`;
  let text = "";
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  // Read piece by piece: a watch shows each message when it comes.
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    text += piece.value;
    shown.textContent = line() + text;
  }
  shown.textContent = line() + pretty(text);
}

function tryForm(spec, path, verb, operation, parameters) {
  const fields = parameters.map((parameter) => ({ parameter, input: inputFor(spec, parameter) }));
  const media = resolve(spec, operation.requestBody).content?.["application/json"];
  const body = media ? element("textarea", { name: "body", spellcheck: false, value: JSON.stringify(example(spec, media.schema), null, 2) }) : null;
  const button = element("button", { type: "submit", textContent: "Send" });
  const stop = element("button", { type: "button", textContent: "Stop", hidden: true });
  const shown = element("pre", { hidden: true });
  const labels = fields.map(({ parameter, input }) => element("label", { textContent: `${parameter.name}${parameter.required ? " *" : ""}` }, input));
  const form = element("form", {}, element("div", { className: "fields" }, ...labels), body, button, stop);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const abort = new AbortController();
    stop.onclick = () => abort.abort();
    button.disabled = true;
    stop.hidden = shown.hidden = false;
    shown.textContent = "";
    try {
      await send(verb.toUpperCase(), target(path, fields), body ? body.value : undefined, shown, abort.signal);
    } catch (error) {
      shown.textContent += `\n${error.name === "AbortError" ? "stopped" : error.message}`;
    }
    button.disabled = false;
    stop.hidden = true;
  });
  return [form, shown];
}

function needs(operation) {
  if (!operation.security || operation.security.length === 0) return "no token";
  return operation["x-permission"] ? `token with ${operation["x-permission"]}` : "token";
}

function operationView(spec, path, verb, operation, shared) {
  const parameters = [...shared, ...(operation.parameters || [])].map((parameter) => resolve(spec, parameter));
  const summary = element(
    "summary",
    {},
    element("span", { className: "verb", textContent: verb.toUpperCase() }),
    element("code", { textContent: path }),
    element("span", { textContent: ` ${operation.summary || ""}` }),
    element("span", { className: "needs", textContent: needs(operation) }),
  );
  const view = element("details", {}, summary);
  view.dataset.search = `${verb} ${path} ${operation.operationId || ""} ${operation.summary || ""}`.toLowerCase();
  view.addEventListener("toggle", () => {
    // Forms are built when opened: the list stays light.
    if (!view.open || view.childElementCount > 1) return;
    view.append(element("p", { className: "note", textContent: operation.description || "" }), ...tryForm(spec, path, verb, operation, parameters));
  });
  return view;
}

function show(spec) {
  const verbs = ["get", "post", "put", "patch", "delete"];
  const groups = new Map((spec.tags || []).map((tag) => [tag.name, { tag, views: [] }]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const verb of verbs.filter((name) => item[name])) {
      const name = item[verb].tags?.[0] || "Other";
      if (!groups.has(name)) groups.set(name, { tag: { name }, views: [] });
      groups.get(name).views.push(operationView(spec, path, verb, item[verb], item.parameters || []));
    }
  }
  const sections = [...groups.values()]
    .filter(({ views }) => views.length)
    .map(({ tag, views }) =>
      element("section", {}, element("h2", { textContent: tag.name }), element("p", { className: "note", textContent: tag.description || "" }), ...views),
    );
  byId("operations").replaceChildren(...sections);
}

byId("filter").addEventListener("input", (event) => {
  const word = event.target.value.trim().toLowerCase();
  for (const view of document.querySelectorAll("details")) view.hidden = !view.dataset.search.includes(word);
  for (const section of document.querySelectorAll("section")) section.hidden = !section.querySelector("details:not([hidden])");
});

byId("session").addEventListener("submit", async (event) => {
  event.preventDefault();
  const state = byId("session-state");
  const credentials = JSON.stringify({ email: byId("email").value, password: byId("password").value });
  try {
    const reply = await fetch("/api/auth/login", { method: "POST", headers: { "content-type": "application/json" }, body: credentials });
    const body = await reply.json();
    state.textContent = reply.ok ? "Logged in." : body.message;
    if (reply.ok) byId("token").value = body.accessToken;
  } catch (error) {
    state.textContent = error.message;
  }
  byId("password").value = "";
});

fetch("/openapi.json")
  .then((reply) => (reply.ok ? reply.json() : Promise.reject(new Error(`/openapi.json answered ${reply.status}`))))
  .then(show)
  .catch((error) => byId("operations").replaceChildren(element("p", { className: "error", textContent: error.message })));
