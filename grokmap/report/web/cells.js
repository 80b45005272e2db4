// Runs -> cells of a map, seeds together: as grokmap/plot/cells.py gathers them.

const NOT_DONE = 255;

function isLog(result, name) {
  if (name === "decay_rate") return result.facts.decay_rate_is_log;
  const axis = result.axes.get(name);
  return axis !== undefined && axis.kind !== "choice" && axis.log;
}

// The swept axes that neither the plane nor the seed covers.
function otherAxes(result, plane) {
  const covered = new Set(["seed", plane.x, plane.y]);
  if (covered.has("decay_rate")) covered.add("weight_decay");
  return result.facts.axes.filter((axis) => !covered.has(axis.name));
}

// place: position on each other axis, -1 where it is not read.
function cellsOf(result, plane, place, shade) {
  const xs = result.values(plane.x);
  const ys = plane.y === null ? null : result.values(plane.y);
  const rows = runsAt(result, otherAxes(result, plane), place);
  const kept = rows.filter((i) => !Number.isNaN(xs[i]) && !(ys && Number.isNaN(ys[i])));
  const keys = keysOf(result, plane, kept);
  const groups = new Map();
  for (const i of kept) {
    const key = keys(i);
    if (groups.has(key)) groups.get(key).push(i);
    else groups.set(key, [i]);
  }
  const shades = shade === null ? null : result.values(shade);
  const cells = [...groups.values()].map((runs) => cellOf(result, runs, xs, ys, shades));
  return laidOut(result, plane, cells);
}

function runsAt(result, axes, place) {
  const tests = axes.map((axis) => [result.column(`axis:${axis.name}`), place[axis.name] ?? 0]);
  const found = [];
  for (let i = 0; i < result.n; i++) {
    if (tests.every(([codes, wanted]) => codes[i] === wanted)) found.push(i);
  }
  return found;
}

// On a decay rate axis cells are told apart by the weight decay that was swept.
function keysOf(result, plane, runs) {
  const columns = [plane.x, plane.y].filter((name) => name !== null).map((name) => {
    if (name !== "decay_rate") return result.column(`axis:${name}`);
    const codes = result.column("axis:weight_decay");
    const several = codes !== null && new Set(runs.map((i) => codes[i])).size > 1;
    return several ? codes : result.column("decay_rate");
  });
  return (i) => columns.map((codes) => codes[i]).join(" ");
}

function cellOf(result, runs, xs, ys, shades) {
  const [phase, flags] = [result.column("phase"), result.column("flags")];
  const done = runs.filter((i) => phase[i] !== NOT_DONE);
  const counts = new Map();
  for (const i of done) counts.set(phase[i], (counts.get(phase[i]) ?? 0) + 1);
  const order = [...counts].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const grokked = result.facts.phases.map((each) => each.grokked);
  const share = (bit) => done.filter((i) => flags[i] & (1 << bit)).length / (done.length || 1);
  const flag = (name) => share(result.facts.flags.indexOf(name));
  return {
    x: xs[runs[0]], y: ys === null ? 0 : ys[runs[0]], runs, done, counts,
    phase: order.length ? order[0] : NOT_DONE,
    top: order.find((name) => grokked[name]) ?? null,
    pGrok: done.filter((i) => grokked[phase[i]]).length / (done.length || 1),
    censored: flag("censored"), partial: flag("partial"),
    shade: shades === null ? NaN : median(done.map((i) => shades[i])),
  };
}

function median(values) {
  const known = values.filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
  const half = known.length >> 1;
  if (known.length === 0) return NaN;
  return known.length % 2 ? known[half] : (known[half - 1] + known[half]) / 2;
}

// Adds to each cell its middle and edges: logarithms on a log axis.
function laidOut(result, plane, cells) {
  const logs = { x: isLog(result, plane.x), y: plane.y !== null && isLog(result, plane.y) };
  const distinct = (axis) => [...new Set(cells.map((cell) => cell[axis]))].sort((a, b) => a - b);
  const [xs, ys] = [distinct("x"), distinct("y")];
  const ragged = cells.length < xs.length * ys.length;
  const byRow = plane.x === "decay_rate" || (ragged && plane.y !== "decay_rate");
  const zero = { x: zeroPlace(xs), y: zeroPlace(ys) };
  const at = (axis, value) => (!logs[axis] ? value : value > 0 ? Math.log(value) : zero[axis]);
  spread(cells, "x", (value) => at("x", value), byRow ? "y" : null);
  spread(cells, "y", (value) => at("y", value), plane.y === "decay_rate" ? "x" : null);
  return { cells, logs, at, values: { x: xs, y: ys } };
}

// Zero stands one step below the smallest positive value of a log axis.
function zeroPlace(values) {
  const positive = values.filter((v) => v > 0).map(Math.log);
  return positive[0] - 1.5 * (positive.length > 1 ? positive[1] - positive[0] : 1);
}

function spread(cells, axis, at, by) {
  const lines = new Map();
  for (const cell of cells) {
    const key = by === null ? 0 : cell[by];
    if (!lines.has(key)) lines.set(key, []);
    lines.get(key).push(cell);
  }
  for (const line of lines.values()) {
    const points = [...new Set(line.map((cell) => at(cell[axis])))].sort((a, b) => a - b);
    const place = new Map(points.map((point, k) => [point, k]));
    const ends = halfWay(points);
    for (const cell of line) {
      const k = place.get(at(cell[axis]));
      Object.assign(cell, { [`${axis}0`]: ends[k], [`${axis}1`]: ends[k + 1], [`${axis}p`]: points[k] });
    }
  }
  if (by !== null) joined(cells, axis);
}

// A row that reaches the end of the axis shares it with the others.
function joined(cells, axis) {
  const [least, greatest] = minmax(cells, `${axis}p`);
  const [first, last] = [least, greatest].map((end) => cells.filter((cell) => cell[`${axis}p`] === end));
  const [low, high] = [minmax(first, `${axis}0`)[0], minmax(last, `${axis}1`)[1]];
  for (const cell of first) cell[`${axis}0`] = low;
  for (const cell of last) cell[`${axis}1`] = high;
}

function halfWay(points) {
  const n = points.length;
  if (n < 2) return [points[0] - 0.5, points[0] + 0.5];
  const middle = points.slice(1).map((point, k) => (point + points[k]) / 2);
  return [2 * points[0] - middle[0], ...middle, 2 * points[n - 1] - middle[n - 2]];
}
