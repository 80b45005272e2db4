// The page: state, events, drawing. `window.grokmap` is for consoles and tests.

const byId = (id) => document.getElementById(id);

async function start() {
  const facts = JSON.parse(byId("facts").textContent);
  if (typeof DecompressionStream === "undefined") {
    return problem("This browser cannot unpack the data (DecompressionStream is missing: Chrome 80, Firefox 113 or Safari 16.4, or newer). What is known in short stands above.");
  }
  const results = await Promise.all(facts.results.map(resultOf));
  const app = { results, state: stateOf(results, location.hash), panels: [], live: facts.live };
  app.panels = results.map((result) => panelOf(app, result));
  byId("results").className = results.length > 1 ? "several" : "one";
  byId("results").replaceChildren(...app.panels.map((panel) => panel.root));
  byId("notes").replaceChildren(...notesOf(facts));
  redraw(app);
  byId("summary").hidden = true;
  window.grokmap = { ...app, app, commandOf, flagsOf };
  window.addEventListener("hashchange", () => {
    if (location.hash !== hashOf(results, app.state)) {
      app.state = stateOf(results, location.hash);
      redraw(app);
    }
  });
  if (facts.live) setTimeout(() => location.reload(), 1000 * facts.live);
  document.documentElement.dataset.ready = "yes";
}

function problem(text) {
  byId("problem").replaceChildren(text);
  byId("problem").hidden = false;
}

function change(app, changes) {
  Object.assign(app.state, changes);
  redraw(app);
}

// Everything but the detail keeps its elements, so that the focus stays where it is.
function redraw(app) {
  const { results, state } = app;
  keepingFocus(byId("controls"), () => drawControls(byId("controls"), results, state, (c) => change(app, c)));
  keepingFocus(byId("legend"), () => drawLegend(byId("legend"), results, state, (c) => change(app, c)));
  drawMaps(app);
  redrawDetail(app);
  history.replaceState(null, "", hashOf(results, state));
}

// Puts the focus on what stands where the focused element stood.
function keepingFocus(root, draw) {
  const focusable = () => [...root.querySelectorAll("button, select, input")];
  const at = focusable().indexOf(document.activeElement);
  draw();
  if (at >= 0) focusable()[at]?.focus();
}

function panelOf(app, result) {
  const { facts } = result;
  const title = facts.done === facts.planned ? plural(facts.done, "run") : `${count(facts.done)} of ${plural(facts.planned, "run")} done`;
  const places = html("div", { class: "places" });
  const maps = ["phase", "quantity"].map((kind) => mapOf(app, result, kind));
  const note = html("p", { class: "note" });
  const table = html("details", { class: "edges" });
  const surface = facts.surface ? surfaceOf(app, result) : null;
  const root = html("article", {},
    html("h2", {}, facts.name, " ", html("small", {}, title)),
    html("p", { class: "fixed" }, fixedText(facts)), places,
    html("div", { class: "maps" }, ...maps.map((map) => map.figure)), note, table, surface && surface.figure);
  return { result, root, places, maps, note, table, surface, laid: null, cursor: null };
}

function surfaceOf(app, result) {
  const sliders = html("div", { class: "places" });
  const root = svg("svg", { viewBox: `0 0 ${SIZE.width - SIZE.bar + 6} ${SIZE.height}`, role: "img", class: "surface" });
  const over = [...result.facts.surface.rest, result.facts.surface.y].map((axis) => result.axes.get(axis.name).label);
  const key = (look, text) => html("span", { class: "entry" }, html("span", { class: `look ${look}` }), ` ${text}`);
  const figure = html("figure", { class: "over" },
    html("figcaption", {}, html("b", {}, `Edges over ${over.join(", ")}`), html("small", {}, " by a model of all runs; dots: runs near")), sliders, root,
    html("p", {}, key("level", "P(grok) is half of its plateau"), " ", key("alone", "may be on either side, 95 %: a place by itself"), " ", key("together", "all places together")));
  return { figure, sliders, root };
}

function fixedText({ settings, criteria }) {
  const first = ["task", "modulus", "model", "width", "depth", "activation", "loss", "optimizer", "train_fraction", "alpha_convention"];
  const words = first.filter((key) => key in settings).map((key) => `${key.replaceAll("_", " ")} ${settings[key].replaceAll("_", " ")}`);
  return `${words.join(", ")}; labels: ${criteria}`;
}

function mapOf(app, result, kind) {
  const width = SIZE.width - (kind === "phase" ? SIZE.bar - 6 : 0);
  const root = svg("svg", {
    viewBox: `0 0 ${width} ${SIZE.height}`, tabindex: 0, role: "application", class: "map", "aria-describedby": "status", "data-kind": kind, "data-result": result.k,
  });
  const caption = html("figcaption", {});
  const figure = html("figure", { class: `map-${kind}` }, caption, root);
  const map = { kind, root, caption, figure, drawn: null };
  const panel = () => app.panels[result.k];
  root.addEventListener("click", (event) => choose(app, result, cellAt(map, event)));
  root.addEventListener("pointermove", (event) => preview(app, panel(), cellAt(map, event)));
  root.addEventListener("pointerleave", () => preview(app, panel(), null));
  root.addEventListener("focus", () => preview(app, panel(), panel().cursor ?? cellOfState(app, panel()) ?? panel().laid.cells[0]));
  root.addEventListener("keydown", (event) => key(app, panel(), event));
  return map;
}

function drawMaps(app) {
  const { state, results } = app;
  const entry = quantitiesOf(results).get(state.colour);
  for (const panel of app.panels) {
    const { result } = panel;
    panel.plane = planeOf(result, state);
    panel.laid = cellsOf(result, panel.plane, state.at[result.k], state.colour);
    panel.cursor = null;
  }
  const shades = app.panels.flatMap((panel) => panel.laid.cells.map((cell) => cell.shade));
  const norm = normOf(shades, entry.log);
  for (const panel of app.panels) drawPanel(app, panel, entry, norm);
}

function drawPanel(app, panel, entry, norm) {
  const { result, plane, laid } = panel;
  const { state } = app;
  const place = state.at[result.k];
  const others = otherAxes(result, plane);
  keepingFocus(panel.places, () => drawPlaces(panel.places, result, plane, place, (name, code) => change(app, { at: state.at.map((p, k) => (k === result.k ? { ...p, [name]: code } : p)) })));
  const labels = { x: nameOfAxis(result, plane.x), y: plane.y === null ? "" : nameOfAxis(result, plane.y) };
  for (const map of panel.maps) {
    const colour = map.kind === "phase" ? "phase" : state.colour;
    const title = map.kind === "phase" ? "Phase" : entry.label;
    const view = { plane, place, labels, colour, norm, off: new Set(state.off), hatch: `hatch-${result.k}-${map.kind}` };
    map.caption.replaceChildren(html("b", {}, title), map.kind === "phase" ? "" : html("small", {}, " median over seeds"));
    map.root.setAttribute("aria-label", `${result.facts.name}: ${title} over ${labels.x} and ${labels.y}. Arrow keys move, Enter chooses.`);
    map.drawn = laid.cells.length ? drawMap(map.root, result, laid, view) : null;
    if (map.drawn === null) map.root.replaceChildren(svg("text", { x: 80, y: 100, class: "name" }, "no run at this place"));
  }
  panel.note.replaceChildren(noteOf(result, plane, others));
  drawEdgeTable(panel.table, result, plane, place, labels);
  if (panel.surface) drawOver(app, panel);
  showChosen(app, panel);
}

function drawOver(app, panel) {
  const { result, surface } = panel;
  const { state } = app;
  const [x, y] = [result.facts.surface.x, result.facts.surface.y].map((axis) => nameOfAxis(result, axis.name));
  const slid = (own) => change(app, { over: state.over.map((each, k) => (k === result.k ? own : each)) });
  keepingFocus(surface.sliders, () => drawSliders(surface.sliders, result, state.over[result.k], slid));
  surface.root.setAttribute("aria-label", `${result.facts.name}: edges of the wedge over ${x} and ${y}, at the places of the sliders above`);
  drawSurface(surface.root, result, state.over[result.k], { x, y });
}

function noteOf(result, plane, others) {
  const fitted = result.facts.fitted.some(([x, y]) => x === plane.x && y === plane.y);
  if (plane.y === null || fitted) return "";
  if ("decay_rate" === plane.x || "decay_rate" === plane.y) return "Edges of the wedge are fitted along swept axes, not along the decay rate.";
  const numbers = [plane.x, plane.y].every((name) => result.axes.get(name).kind !== "choice");
  if (!numbers || result.facts.done === 0) return "";
  return "Edges along this pair of axes are not in this page (too many rows); `grokmap boundaries` fits them.";
}

function drawEdgeTable(root, result, plane, place, labels) {
  const edges = plane.y === null ? [] : edgesAt(result, plane, place);
  root.hidden = edges.length === 0;
  const text = (edge) => (edge.estimate !== null ? `${num(edge.estimate)} [${num(edge.low)}, ${num(edge.high)}]`
    : edge.high !== null ? `< ${num(edge.high)}` : edge.low !== null ? `> ${num(edge.low)}` : "–");
  const rows = edges.map((edge) => html("tr", {}, html("td", {}, num(edge.row)), html("td", {}, edge.edge), html("td", {}, text(edge)), html("td", {}, edge.status)));
  const heads = [labels.y, "edge", `${labels.x}, 95 % interval`, "status"].map((word) => html("th", { scope: "col" }, word));
  root.replaceChildren(html("summary", {}, "Edges of the wedge, P(grok) = 1/2"), html("table", {}, html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...rows)));
}

function cellAt(map, event) {
  if (map.drawn === null) return null;
  const { x, y, cells } = map.drawn;
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.root.getScreenCTM().inverse());
  const inverse = (scale, at) => scale.low + ((at - scale.from) / (scale.to - scale.from)) * (scale.high - scale.low);
  const [px, py] = [inverse(x, point.x), inverse(y, point.y)];
  return cells.find((cell) => px >= cell.x0 && px < cell.x1 && py >= cell.y0 && py < cell.y1) ?? null;
}

function preview(app, panel, cell) {
  panel.cursor = cell;
  for (const map of panel.maps) if (map.drawn) ringAround(map.root, map.drawn, cell, "cursor");
  byId("status").replaceChildren(cell ? cellText(panel.result, cell) : "");
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function key(app, panel, event) {
  const cell = panel.cursor ?? panel.laid.cells[0];
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") {
    choose(app, panel.result, cell);
  } else if (event.key in MOVES) {
    preview(app, panel, neighbour(panel.laid.cells, cell, ...MOVES[event.key]));
  } else if (event.key === "Escape") {
    change(app, { cell: null, run: null });
  } else {
    return;
  }
  event.preventDefault();
}

// The nearest cell in a direction: along the row, or in the next row that there is.
function neighbour(cells, from, dx, dy) {
  const along = dx ? ["xp", "yp", dx] : ["yp", "xp", dy];
  const ahead = cells.filter((cell) => (cell[along[0]] - from[along[0]]) * along[2] > 1e-12);
  const sides = dx ? ahead.filter((cell) => cell.yp === from.yp) : ahead;
  if (sides.length === 0) return from;
  const first = Math.min(...minmax(sides, along[0]).map((v) => Math.abs(v - from[along[0]])));
  const next = dx ? sides : sides.filter((cell) => Math.abs(Math.abs(cell.yp - from.yp) - first) < 1e-9);
  const away = (cell) => Math.abs(cell.xp - from.xp);
  return next.reduce((best, cell) => (away(cell) < away(best) ? cell : best));
}

function choose(app, result, cell) {
  if (!cell) return;
  const { state } = app;
  Object.assign(state, { cell: result.k, run: firstRun(app, result, cell) });
  app.panels.forEach((panel) => showChosen(app, panel));
  redrawDetail(app);
  history.replaceState(null, "", hashOf(app.results, state));
}

// The run of a cell that is in front at first: one whose phase is not dimmed.
function firstRun(app, result, cell) {
  const phase = (i) => result.facts.phases[result.column("phase")[i]].name;
  return cell.done.find((i) => !app.state.off.includes(phase(i))) ?? cell.done[0] ?? cell.runs[0];
}

// The cell of the chosen run; of another result, the one at the same place.
function cellOfState(app, panel) {
  const { cell, run } = app.state;
  if (cell === null) return null;
  if (cell === panel.result.k) return panel.laid.cells.find((each) => each.runs.includes(run)) ?? null;
  const chosen = app.panels[cell];
  const same = chosen.plane.x === panel.plane.x && chosen.plane.y === panel.plane.y;
  const place = same ? cellOfState(app, chosen) : null;
  return place && (panel.laid.cells.find((each) => each.x === place.x && each.y === place.y) ?? null);
}

function showChosen(app, panel) {
  for (const map of panel.maps) if (map.drawn) ringAround(map.root, map.drawn, cellOfState(app, panel), "chosen");
}

// A section for the chosen cell, and for that of each other result at the same place.
function redrawDetail(app) {
  const { state, results } = app;
  const root = byId("detail");
  const act = (changes) => {
    Object.assign(state, changes);
    app.panels.forEach((panel) => showChosen(app, panel));
    redrawDetail(app);
    history.replaceState(null, "", hashOf(results, state));
  };
  const toggle = (name) => act({ show: state.show.includes(name) ? state.show.filter((n) => n !== name) : [...state.show, name] });
  const sections = app.panels.map((panel) => {
    const { result } = panel;
    const cell = cellOfState(app, panel);
    if (!cell) return null;
    if (result.facts.curves !== null && result.curves === null) result.loadCurves().then(() => redrawDetail(app));
    const run = state.cell === result.k ? state.run : firstRun(app, result, cell);
    return sectionOf(result, cell, run, state, { choose: (i) => act({ cell: result.k, run: i }), toggle });
  }).filter((section) => section !== null);
  const hint = html("p", { class: "hint" }, "Click a cell, or focus a map and use the arrow keys and Enter, to see its runs.");
  root.className = sections.length > 1 ? "several" : "one";
  keepingFocus(root, () => root.replaceChildren(...(sections.length ? sections : [hint])));
}

function notesOf(facts) {
  const notes = facts.results.map(({ name, curves }) => {
    if (curves === null) return `${name}: labels only, no trajectories here.`;
    if (curves.rate === null) return `${name}: curves show all ${count(curves.records)} records, values to 1 in 4,000.`;
    return `${name}: curves are thinned to ${count(curves.kept)} of ${count(curves.records)} records: of each run the first and last, those at t_mem and t_grok and the ones before, and about ${num(curves.rate, 2)} in each doubling of the step; values to 1 in 4,000. Labels and times are from all records.`;
  });
  const words = "A time in brackets is the spacing of records before it. Opacity of cells that grok: the share of their runs that do. Censored: not decided, since the run was cut short, still moves or is partial.";
  const live = facts.live ? [`This page is of a sweep that goes on: it loads itself again every ${num(facts.live)} s.`] : [];
  return [...live, words, ...notes].map((text) => html("p", {}, text));
}

start().catch((error) => {
  problem(`This page could not be drawn: ${error.message}`);
  throw error;
});
