// One map of a result: cells, hatches, marks, edges of the wedge, the chosen cell.

const SIZE = { width: 500, height: 370, left: 64, right: 14, top: 12, bottom: 42, bar: 70 };

const EMPTY = "#ffffff"; // cells of which no run is done

// view: {plane, labels, colour: "phase" or a quantity, norm, off, hatch (an id)}.
// Returns {cells, scales} of what it drew into `root`.
function drawMap(root, result, laid, view) {
  const right = SIZE.width - SIZE.right - SIZE.bar;
  const cells = laid.cells;
  const ends = (a) => [Math.min(...minmax(cells, `${a}0`)), Math.max(...minmax(cells, `${a}1`))];
  const x = scaleOf(...ends("x"), SIZE.left, right);
  const y = scaleOf(...ends("y"), SIZE.height - SIZE.bottom, SIZE.top);
  const clip = `${view.hatch}-clip`;
  const frame = svg("rect", { x: x.from, y: y.to, width: x.to - x.from, height: y.from - y.to });
  root.replaceChildren(
    svg("defs", {}, hatchOf(view.hatch, view.colour === "phase" ? "#333" : "#ccc"), svg("clipPath", { id: clip }, frame)),
    ...fills(result, cells, x, y, view),
    ...hatches(result, cells, x, y, view),
    ...(view.colour === "phase" ? marks(result, laid, x, y, view) : []),
    svg("g", { "clip-path": `url(#${clip})` }, ...edgesOf(result, laid, x, y, view)),
    ...axesOf(x, y, ticksFor(result, laid, x, y, view.plane), view.labels),
    ...(view.colour === "phase" ? [] : barOf(view, right)),
    svg("rect", { class: "chosen", visibility: "hidden" }),
    svg("rect", { class: "cursor", visibility: "hidden" }),
  );
  return { cells, x, y };
}

function minmax(cells, key) {
  let [low, high] = [Infinity, -Infinity];
  for (const cell of cells) {
    if (cell[key] < low) low = cell[key];
    if (cell[key] > high) high = cell[key];
  }
  return [low, high];
}

function boxOf(cell, x, y) {
  return { x: x(cell.x0), y: y(cell.y1), width: x(cell.x1) - x(cell.x0), height: y(cell.y0) - y(cell.y1) };
}

function boxPath(cell, x, y) {
  const box = boxOf(cell, x, y);
  const f = (v) => v.toFixed(2);
  return `M${f(box.x)} ${f(box.y)}h${f(box.width)}v${f(box.height)}h${f(-box.width)}Z`;
}

// The shorter side of the smallest cell, in pixels.
function smallest(cells, x, y) {
  return cells.reduce((least, cell) => {
    const { width, height } = boxOf(cell, x, y);
    return Math.min(least, width, height);
  }, Infinity);
}

// One path for each look, however many cells have it.
function paths(cells, look, d) {
  const found = new Map();
  for (const cell of cells) {
    const key = look(cell);
    if (key === null) continue;
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(d(cell));
  }
  return [...found].map(([key, parts]) => [key, parts.join("")]);
}

function isOff(result, cell, off) {
  return cell.phase !== NOT_DONE && off.has(result.facts.phases[cell.phase].name);
}

function fills(result, cells, x, y, view) {
  const look = (cell) => {
    const colour = colourOf(result, cell, view);
    return colour === null ? null : isOff(result, cell, view.off) ? mixed("#ffffff", colour, 0.1) : colour;
  };
  const drawn = paths(cells, look, (cell) => boxPath(cell, x, y));
  const line = Math.min(0.6, 0.04 * smallest(cells, x, y));
  return drawn.map(([fill, d]) => svg("path", { d, fill, class: "cell", stroke: fill === EMPTY ? "#ccc" : "#fff", "stroke-width": line }));
}

function colourOf(result, cell, view) {
  if (cell.phase === NOT_DONE) return EMPTY;
  if (view.colour !== "phase") {
    return Number.isNaN(cell.shade) || view.norm === null ? "#eeeeee" : viridis(view.norm.share(cell.shade));
  }
  // Opacity is the share that grokked, as in the figures.
  const top = cell.top === null ? null : result.facts.phases[cell.top].colour;
  return top === null ? result.facts.phases[cell.phase].colour : mixed("#ffffff", top, Math.round(cell.pGrok * 20) / 20);
}

function hatches(result, cells, x, y, view) {
  const shown = (cell) => !isOff(result, cell, view.off) && (view.colour === "phase" || !Number.isNaN(cell.shade));
  const hatched = cells.filter((cell) => cell.censored >= 0.5 && shown(cell));
  const d = hatched.map((cell) => boxPath(cell, x, y)).join("");
  return [svg("path", { d, fill: `url(#${view.hatch})`, class: "hatch" })];
}

function marks(result, laid, x, y, view) {
  const phases = result.facts.phases;
  const far = spaced(laid, x, y);
  const shown = laid.cells.filter((cell) => cell.phase !== NOT_DONE && !isOff(result, cell, view.off));
  const radius = (cell) => (far.every ? Math.min(4, boxOf(cell, x, y).width / 4, boxOf(cell, x, y).height / 4) : 2.5);
  const look = (cell) => (radius(cell) < 1.2 || !far.at(cell) ? null : `${phases[cell.phase].mark} ${inkOn(colourOf(result, cell, view))}`);
  const d = (cell) => MARKS[phases[cell.phase].mark](x((cell.x0 + cell.x1) / 2), y((cell.y0 + cell.y1) / 2), radius(cell));
  const drawn = paths(shown, look, d).map(([key, path]) => markOf(key.split(" ")[0], path, key.split(" ")[1]));
  const partial = shown.filter((cell) => cell.partial > 0);
  const rings = partial.map((cell) => ringIn(boxOf(cell, x, y))).join("");
  return [...drawn, svg("path", { d: rings, class: "ring" })];
}

const APART = 13; // pixels between marks

// Which cells of a grid have a mark: every one, or some where cells are small.
function spaced(laid, x, y) {
  const { cells, values } = laid;
  const isGrid = cells.length === values.x.length * values.y.length;
  const strides = [["x", x], ["y", y]].map(([axis, scale]) => Math.ceil((APART * values[axis].length) / Math.abs(scale.to - scale.from)));
  if (!isGrid || Math.max(...strides) === 1) return { every: true, at: () => true };
  const ranks = ["x", "y"].map((axis) => new Map(values[axis].map((v, k) => [v, k])));
  const middle = (axis, k) => ranks[k].get(axis) % strides[k] === strides[k] >> 1;
  return { every: false, at: (cell) => middle(cell.x, 0) && middle(cell.y, 1) };
}

// At the upper left of a cell, as large as there is room.
function ringIn(box) {
  const r = Math.min(3, box.width / 3.2, box.height / 3.2);
  return MARKS.disc(box.x + r * 1.6, box.y + r * 1.6, r);
}

// Measured edges with their intervals; bounds as arrows to where the edge is.
function edgesOf(result, laid, x, y, view) {
  if (view.plane.y === null) return [];
  const parts = [];
  const pitch = Math.abs(y.to - y.from) / laid.values.y.length;
  const r = Math.max(1.5, Math.min(3.6, 0.3 * pitch));
  for (const edge of edgesAt(result, view.plane, view.place)) {
    const row = y(laid.at("y", edge.row));
    const at = (value) => x(laid.at("x", value));
    if (edge.estimate !== null) {
      const d = `M${at(edge.low)} ${row}H${at(edge.high)}`;
      parts.push(svg("path", { class: "halo", d, "stroke-width": 1.1 * r }), svg("path", { class: "interval", d, "stroke-width": r / 2 }));
      parts.push(svg("circle", { class: "edge", cx: at(edge.estimate), cy: row, r }));
    } else if (edge.high !== null || edge.low !== null) {
      const [from, side] = edge.high !== null ? [at(edge.high), -1] : [at(edge.low), 1];
      parts.push(svg("path", { class: "bound", d: `M${from} ${row - 1.4 * r}l${side * 2.5 * r} ${1.4 * r}l${-side * 2.5 * r} ${1.4 * r}Z` }));
    }
  }
  return parts;
}

function edgesAt(result, plane, place) {
  const others = otherAxes(result, plane);
  return result.facts.edges.filter((edge) => edge.x === plane.x && edge.y === plane.y && others.every((axis) => {
    const wanted = place[axis.name] ?? 0;
    const value = edge.place[axis.name] ?? null;
    return wanted < 0 ? value === null : value === axis.values[wanted];
  }));
}

function ticksFor(result, laid, x, y, plane) {
  const of = (a, scale, name, most) => {
    const axis = result.axes.get(name);
    if (name === null) return [];
    if (axis !== undefined && axis.kind === "choice") {
      return laid.values[a].map((v) => ({ at: v, text: axis.shown[v] }));
    }
    return ticksOf(laid.values[a], laid.logs[a], (v) => laid.at(a, v), scale.low, scale.high, most);
  };
  return { x: of("x", x, plane.x, 7), y: of("y", y, plane.y, 9) };
}

function barOf(view, right) {
  const [top, bottom] = [SIZE.top + 10, SIZE.height - SIZE.bottom - 10];
  if (view.norm === null) {
    return [svg("text", { x: SIZE.left + 20, y: top + 12, class: "name" }, "no run has a value")];
  }
  const { norm } = view;
  const f = norm.log ? Math.log : (v) => v;
  const scale = scaleOf(f(norm.low), f(norm.high), bottom, top);
  const parts = [];
  for (let k = 0; k < 64; k++) {
    const height = (bottom - top) / 64;
    parts.push(svg("rect", { x: right + 10, y: bottom - (k + 1) * height, width: 12, height: height + 0.6, fill: viridis(k / 63) }));
  }
  const round = norm.log ? roundLogs(norm.low, norm.high, 6) : roundNumbers(norm.low, norm.high, 6);
  for (const v of round) {
    if (v < norm.low || v > norm.high) continue;
    parts.push(svg("path", { class: "tick", d: `M${right + 22} ${scale(f(v))}h4` }));
    parts.push(svg("text", { x: right + 28, y: scale(f(v)) + 4 }, num(v)));
  }
  return parts;
}

// Puts the ring of a class around a cell, or hides it.
function ringAround(root, drawn, cell, name) {
  const ring = root.querySelector(`rect.${name}`);
  if (!cell) return ring.setAttribute("visibility", "hidden");
  const box = boxOf(cell, drawn.x, drawn.y);
  for (const [key, value] of Object.entries(box)) ring.setAttribute(key, value);
  ring.setAttribute("visibility", "visible");
}
