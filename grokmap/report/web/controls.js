// Menus, sliders and the legend; what stands in them follows from the results.

// Names of axes along which some result has several values, numbers before choices, the
// seed aside.
function axisNames(results) {
  const axes = results.flatMap((r) => r.facts.axes.filter((axis) => axis.values.length > 1));
  const isChoice = (axis) => axis.kind === "choice";
  const names = new Set([...axes.filter((a) => !isChoice(a)), ...axes.filter(isChoice)].map((axis) => axis.name));
  names.delete("seed");
  if (names.has("weight_decay")) names.add("decay_rate");
  return [...names];
}

function quantitiesOf(results) {
  const found = new Map([
    ["delay_ratio", { label: "t_grok / t_mem", log: true }],
    ["t_grok", { label: "t_grok (steps)", log: true }],
    ["t_mem", { label: "t_mem (steps)", log: true }],
  ]);
  for (const q of results.flatMap((r) => r.facts.quantities)) {
    if (!found.has(q.name)) found.set(q.name, { ...q, label: `${q.label} at the end` });
  }
  return found;
}

// The plane of a result: what the reader chose, or what it has where it lacks that.
function planeOf(result, state) {
  const own = axisNames([result]).filter((name) => name !== "decay_rate");
  const known = (name) => result.axes.has(name) || (name === "decay_rate" && result.axes.has("weight_decay"));
  const same = (a, b) => a === b || (a === "decay_rate" && b === "weight_decay") || (b === "decay_rate" && a === "weight_decay");
  const x = known(state.x) ? state.x : own.find((name) => name !== state.y) ?? own[0] ?? "decay_rate";
  const y = state.y !== null && known(state.y) && !same(x, state.y) ? state.y : own.find((name) => !same(name, x)) ?? null;
  return { x, y };
}

function startState(results) {
  const names = axisNames(results);
  const x = names.includes("weight_decay") ? "weight_decay" : names[0] ?? "decay_rate";
  const others = names.filter((name) => name !== x && name !== "decay_rate");
  const y = others.includes("alpha") ? "alpha" : others[0] ?? null;
  return { x, y, colour: "delay_ratio", at: results.map(() => ({})), over: results.map(() => ({})), off: [], cell: null, run: null, show: telling(results) };
}

const SHOWN_FIRST = 3;

// The first order parameters with curves that are known to tell phases apart.
function telling(results) {
  const names = results.flatMap(({ facts }) => {
    const kept = (facts.curves?.groups ?? []).flat();
    return facts.quantities.filter((q) => q.tells && kept.includes(q.name)).map((q) => q.name);
  });
  return [...new Set(names)].slice(0, SHOWN_FIRST);
}

// The state that the address holds, as far as it fits these results.
function stateOf(results, hash) {
  const state = startState(results);
  let given = {};
  try {
    given = JSON.parse(decodeURIComponent(hash.slice(1)) || "{}") ?? {};
  } catch {
    return state;
  }
  const names = axisNames(results);
  if (names.includes(given.x)) state.x = given.x;
  if (names.includes(given.y) && given.y !== state.x) state.y = given.y;
  if (quantitiesOf(results).has(given.colour)) state.colour = given.colour;
  if (Array.isArray(given.off)) state.off = given.off.filter((name) => typeof name === "string");
  if (Array.isArray(given.show)) state.show = given.show.filter((name) => typeof name === "string");
  results.forEach((result, k) => {
    for (const axis of result.facts.axes) {
      const place = given.at?.[k]?.[axis.name];
      if (Number.isInteger(place) && place >= -1 && place < axis.values.length) state.at[k][axis.name] = place;
    }
  });
  results.forEach((result, k) => {
    for (const axis of result.facts.surface?.rest ?? []) {
      const place = given.over?.[k]?.[axis.name];
      if (Number.isInteger(place) && place >= 0 && place < axis.values.length) state.over[k][axis.name] = place;
    }
  });
  const run = given.run ?? [];
  const [k, id] = Array.isArray(run) ? run : [];
  const i = results[k] && typeof id === "string" ? results[k].facts.ids.indexOf(id) / (id.length || 1) : -1;
  if (Number.isInteger(i) && i >= 0 && results[k].id(i) === id) Object.assign(state, { cell: k, run: i });
  return state;
}

function hashOf(results, state) {
  const { x, y, colour, at, over, off, show } = state;
  const run = state.run === null ? undefined : [state.cell, results[state.cell].id(state.run)];
  return "#" + encodeURIComponent(JSON.stringify({ x, y, colour, at, over, off, show, run }));
}

function menu(label, id, options, value, change) {
  const items = options.map(([key, text]) => html("option", { value: key, selected: key === value ? "" : null }, text));
  const select = html("select", { id, onchange: (event) => change(event.target.value) }, ...items);
  return html("label", { for: id }, label, " ", select);
}

function drawControls(root, results, state, change) {
  const labels = new Map(results.flatMap((r) => r.facts.axes.map((axis) => [axis.name, axis.label])));
  labels.set("decay_rate", "decay rate r");
  const axes = axisNames(results).map((name) => [name, labels.get(name)]);
  const colours = [...quantitiesOf(results)].map(([name, q]) => [name, q.label]);
  const swap = (key, other) => (value) => change(value === state[other] ? { [key]: value, [other]: state[key] } : { [key]: value });
  const parts = [menu("Colour of the second map", "colour", colours, state.colour, (colour) => change({ colour }))];
  if (axes.length > 1) {
    parts.unshift(menu("Across", "x", axes, state.x, swap("x", "y")), menu("Up", "y", axes, state.y, swap("y", "x")));
  }
  root.replaceChildren(...parts);
}

function drawLegend(root, results, state, change) {
  const phases = new Map(results.flatMap((r) => r.facts.phases.map((phase) => [phase.name, phase])));
  const buttons = [...phases.values()].map((phase) => {
    const off = state.off.includes(phase.name);
    const n = results.reduce((sum, r) => sum + (r.facts.counts[phase.name] ?? 0), 0);
    const flip = () => change({ off: off ? state.off.filter((name) => name !== phase.name) : [...state.off, phase.name] });
    return html("button", { type: "button", "aria-pressed": String(!off), "data-phase": phase.name, onclick: flip }, swatch(phase, off), ` ${phase.name} `, html("small", {}, count(n)));
  });
  const key = (look, text) => html("span", { class: "entry" }, html("span", { class: `look ${look}` }), ` ${text}`);
  root.replaceChildren(...buttons, key("hatched", "censored: not decided"), key("ringed", "some run partial"), key("empty", "not run yet"), key("dotted", "edge of the wedge, 95 %; arrow: bound"));
}

// A slider for numbers, a menu for choices; -1, where a run does not read the axis, last.
function drawPlaces(root, result, plane, place, change) {
  const parts = otherAxes(result, plane).map((axis) => {
    const codes = new Set(result.column(`axis:${axis.name}`));
    const options = [...axis.values.keys(), ...(codes.has(-1) ? [-1] : [])];
    if (options.length < 2) return null;
    const text = (code) => (code < 0 ? "not read" : axis.shown[code]);
    const id = `at-${result.k}-${axis.name}`;
    const now = place[axis.name] ?? 0;
    if (axis.kind === "choice" || codes.has(-1)) {
      return menu(axis.label, id, options.map((code) => [String(code), text(code)]), String(now), (value) => change(axis.name, Number(value)));
    }
    const shown = html("output", { for: id }, text(now));
    const slide = (event) => {
      shown.replaceChildren(text(Number(event.target.value)));
      change(axis.name, Number(event.target.value));
    };
    const slider = html("input", { id, type: "range", min: 0, max: options.length - 1, value: now, "aria-valuetext": text(now), oninput: slide });
    return html("label", { for: id }, axis.label, " ", slider, " ", shown);
  });
  root.replaceChildren(...parts.filter((part) => part !== null));
}
