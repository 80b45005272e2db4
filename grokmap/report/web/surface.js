// Edges over several axes: a plane of the model of P(grok), and sliders for the others.

const FINE = 4; // rows drawn for each row of the model

// The plane at the sliders' places: sure[row][column], in standard deviations.
function planeAt(result, slider) {
  const { x, y, rest, step } = result.facts.surface;
  const [across, up] = [x.units.length, y.units.length];
  const k = rest.reduce((place, axis) => place * axis.values.length + placeOn(axis, slider), 0);
  return y.units.map((_, row) => {
    const start = (k * up + row) * across;
    return Array.from(result.sure.slice(start, start + across), (code) => code * step);
  });
}

// The middle, until a reader moves the slider.
function placeOn(axis, slider) {
  return slider[axis.name] ?? axis.values.length >> 1;
}

function drawSurface(root, result, slider, labels) {
  const { x, y, bands } = result.facts.surface;
  const right = SIZE.width - SIZE.right - SIZE.bar;
  const sides = [[x, SIZE.left, right], [y, SIZE.height - SIZE.bottom, SIZE.top]];
  const [across, up] = sides.map(([axis, from, to]) => scaleOf(...endsOf(result, axis), from, to));
  const grid = planeAt(result, slider);
  const to = { x: x.units.map((u) => across.from + u * (across.to - across.from)), y: y.units.map((u) => up.from + u * (up.to - up.from)) };
  const [alone, together] = bands;
  root.replaceChildren(
    svg("path", { class: "band together", d: doubtful(grid, to, together) }),
    svg("path", { class: "band alone", d: doubtful(grid, to, alone) }),
    svg("path", { class: "level", d: levelLine(grid, to) }),
    ...runsNear(result, slider, across, up),
    ...axesOf(across, up, { x: ticksAlong(result, x, across, 7), y: ticksAlong(result, y, up, 9) }, labels),
  );
}

// A value of an axis as its scale has it; the place of a value that is no number.
function scaled(result, axis, value) {
  if (!axis.real && typeof value !== "number") return axis.values.indexOf(value);
  return isLog(result, axis.name) ? Math.log(value) : value;
}

function endsOf(result, axis) {
  return [axis.values[0], axis.values.at(-1)].map((value) => scaled(result, axis, value));
}

function ticksAlong(result, axis, scale, most) {
  if (typeof axis.values[0] !== "number") return axis.values.map((value, at) => ({ at, text: String(value) }));
  return ticksOf(axis.values, isLog(result, axis.name), (value) => scaled(result, axis, value), scale.low, scale.high, most);
}

// Where |sure| <= level: boxes along finer rows, between which it is a straight line.
function doubtful(grid, to, level) {
  const parts = [];
  const f = (v) => v.toFixed(1);
  for (let row = 0; row + 1 < grid.length; row++) {
    for (let fine = 0; fine < FINE; fine++) {
      const share = (fine + 0.5) / FINE;
      const values = grid[row].map((v, i) => v + share * (grid[row + 1][i] - v));
      const [height, top] = [(to.y[row] - to.y[row + 1]) / FINE, to.y[row] + ((fine + 1) / FINE) * (to.y[row + 1] - to.y[row])];
      for (const [from, end] of stretches(values, level)) {
        const at = (place) => to.x[Math.floor(place)] + (place % 1) * ((to.x[Math.floor(place) + 1] ?? 0) - to.x[Math.floor(place)]);
        parts.push(`M${f(at(from))} ${f(top)}H${f(at(end))}v${f(height)}H${f(at(from))}Z`);
      }
    }
  }
  return parts.join("");
}

// Stretches of places along a row where |value| <= level.
function stretches(values, level) {
  const found = [];
  for (let i = 0; i + 1 < values.length; i++) {
    const [a, b] = [values[i], values[i + 1]];
    const ends = a === b ? (Math.abs(a) <= level ? [0, 1] : [1, 0]) : [(-level - a) / (b - a), (level - a) / (b - a)].sort((p, q) => p - q);
    const [from, end] = [i + Math.max(0, ends[0]), i + Math.min(1, ends[1])];
    if (end <= from) continue;
    if (found.length && found.at(-1)[1] >= from) found.at(-1)[1] = end;
    else found.push([from, end]);
  }
  return found;
}

// Where sure is 0: pieces in each square of the grid (marching squares).
function levelLine(grid, to) {
  const parts = [];
  for (let j = 0; j + 1 < grid.length; j++) {
    for (let i = 0; i + 1 < grid[j].length; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      const points = corners.map((corner, k) => zeroBetween(grid, to, corner, corners[(k + 1) % 4])).filter((point) => point !== null);
      for (let k = 0; k + 1 < points.length; k += 2) parts.push(`M${points[k]}L${points[k + 1]}`);
    }
  }
  return parts.join("");
}

function zeroBetween(grid, to, [i, j], [k, l]) {
  const [a, b] = [grid[j][i], grid[l][k]];
  if (a > 0 === b > 0) return null;
  const share = a / (a - b);
  const at = (from, end) => (from + share * (end - from)).toFixed(1);
  return `${at(to.x[i], to.x[k])} ${at(to.y[j], to.y[l])}`;
}

// Marks of the runs that are done and near the sliders' places.
function runsNear(result, slider, across, up) {
  const { x, y, rest, reach } = result.facts.surface;
  const [xs, ys] = [x, y].map((axis) => result.values(axis.name));
  const phase = result.column("phase");
  const own = (axis, i) => (result.axes.get(axis.name).kind === "choice" ? result.axes.get(axis.name).values[result.values(axis.name)[i]] : result.values(axis.name)[i]);
  const near = (axis, i) => {
    const wanted = axis.values[placeOn(axis, slider)];
    if (!axis.real) return own(axis, i) === wanted;
    const [low, high] = endsOf(result, axis);
    return Math.abs(scaled(result, axis, own(axis, i)) - scaled(result, axis, wanted)) <= reach * (high - low) + 1e-12;
  };
  const marks = [];
  for (let i = 0; i < result.n; i++) {
    if (phase[i] === NOT_DONE || Number.isNaN(xs[i]) || Number.isNaN(ys[i]) || !rest.every((axis) => near(axis, i))) continue;
    const place = [across(scaled(result, x, own(x, i))), up(scaled(result, y, own(y, i)))];
    if (!place.every(Number.isFinite)) continue;
    const { mark, colour } = result.facts.phases[phase[i]];
    marks.push(svg("circle", { cx: place[0], cy: place[1], r: 4, fill: colour, class: "run" }), markOf(mark, MARKS[mark](...place, 1.9), inkOn(colour)));
  }
  return marks;
}

// change: told the sliders' places.
function drawSliders(root, result, slider, change) {
  root.replaceChildren(...result.facts.surface.rest.map((axis) => {
    const text = (k) => (typeof axis.values[k] === "number" ? num(axis.values[k]) : String(axis.values[k]));
    const [id, now] = [`over-${result.k}-${axis.name}`, placeOn(axis, slider)];
    const shown = html("output", { for: id }, text(now));
    const slide = (event) => {
      const k = Number(event.target.value);
      shown.replaceChildren(text(k));
      event.target.setAttribute("aria-valuetext", text(k));
      change({ ...slider, [axis.name]: k });
    };
    const input = html("input", { id, type: "range", min: 0, max: axis.values.length - 1, value: now, "aria-valuetext": text(now), oninput: slide });
    return html("label", { for: id }, result.axes.get(axis.name).label, " ", input, " ", shown);
  }));
}
