// Curves of a few runs against the step, in small panels.

const PANEL = { width: 380, height: 190, left: 52, right: 24, top: 20, bottom: 36 };
const PAIRS = [["accuracy", ["train_accuracy", "test_accuracy"]], ["loss", ["train_loss", "test_loss"]], ["weight norm", ["weight_norm"]]];
const TIMES = [["t_mem", "t_mem"], ["t_grok", "t_grok"]];

// What panels there are: title, names of curves, whether the scale is a logarithm.
function panelsOf(result, show) {
  const known = new Map(result.facts.quantities.map((q) => [q.name, q]));
  const have = (names) => names.filter((name) => result.curves.names.includes(name));
  const fixed = PAIRS.map(([title, names]) => ({ title, names: have(names) })).filter((p) => p.names.length);
  const chosen = have(show).map((name) => ({ title: known.get(name).label, names: [name], meaning: known.get(name).meaning }));
  return [...fixed, ...chosen].map((panel) => ({ ...panel, log: known.get(panel.names[0]).log }));
}

// Those that a reader may add: recorded, and not in a panel already.
function choosable(result) {
  const drawn = new Set(PAIRS.flatMap(([, names]) => names));
  return result.facts.quantities.filter((q) => !drawn.has(q.name) && result.curves.names.includes(q.name));
}

// runs: all that are drawn; chosen: the one in front, with its times.
function drawCurves(result, runs, chosen, show) {
  const has = runs.filter((i) => result.curves.has(i));
  if (has.length === 0) return [html("p", {}, "No records of these runs are kept here.")];
  return panelsOf(result, show).map((panel) => figureOf(result, panel, has, chosen));
}

function figureOf(result, panel, runs, chosen) {
  const lines = runs.flatMap((i) => panel.names.map((name) => ({ i, name, ...result.curves.of(name, i) })));
  const known = lines.some(({ values }) => values.some((v) => Number.isFinite(v)));
  const readout = html("span", { class: "readout" });
  const caption = html("figcaption", { title: panel.meaning ?? "" }, html("b", {}, panel.title), " ", ...keyOf(panel), readout);
  if (!known) return html("figure", { class: "curve" }, caption, html("p", {}, "not defined for these runs"));
  const log = panel.log && lines.some(({ values }) => values.some((v) => v > 0));
  const x = stepScale(lines);
  const y = valueScale(lines, log, panel.title === "accuracy");
  const label = `${panel.title} against the step, ${plural(runs.length, "run")}`;
  const root = svg("svg", { viewBox: `0 0 ${PANEL.width} ${PANEL.height}`, role: "img", "aria-label": label });
  root.append(...axesOf(x, y, ticksOfPanel(x, y, log), { x: "step" }));
  const front = (line) => (line.i === chosen ? 1 : 0);
  for (const line of [...lines].sort((a, b) => front(a) - front(b))) root.append(lineOf(line, x, y, log, front(line)));
  if (runs.includes(chosen)) root.append(...timesOf(result, chosen, x, y));
  root.addEventListener("pointermove", (event) => readAt(root, event, lines.filter(front), x, readout));
  root.addEventListener("pointerleave", () => readout.replaceChildren());
  return html("figure", { class: "curve", "data-panel": panel.title }, caption, root);
}

function keyOf(panel) {
  if (panel.names.length < 2) return [];
  return [html("span", { class: "key train" }, "train"), " ", html("span", { class: "key test" }, "test"), " "];
}

function stepScale(lines) {
  let last = 2;
  for (const { steps } of lines) last = Math.max(last, steps[steps.length - 1]);
  return scaleOf(0, Math.log(last), PANEL.left, PANEL.width - PANEL.right);
}

function valueScale(lines, log, isShare) {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of lines) {
    for (const v of values) {
      if (!Number.isFinite(v) || (log && v <= 0)) continue;
      const place = log ? Math.log(v) : v;
      if (place < low) low = place;
      if (place > high) high = place;
    }
  }
  if (isShare) [low, high] = [0, 1];
  const margin = (high - low) * 0.05 || Math.abs(low) * 0.1 || 0.5;
  return scaleOf(low - margin, high + margin, PANEL.height - PANEL.bottom, PANEL.top);
}

function ticksOfPanel(x, y, log) {
  const asLogs = (values) => values.map((v) => ({ at: Math.log(v), text: num(v) }));
  const steps = asLogs(roundLogs(1, Math.exp(x.high), 6));
  const values = log ? asLogs(roundLogs(Math.exp(y.low), Math.exp(y.high), 5)) : null;
  return { x: steps, y: values ?? roundNumbers(y.low, y.high, 5).map((v) => ({ at: v, text: num(v) })) };
}

// Where a value is not finite, or not positive on a log scale, the line is broken.
function lineOf({ i, name, steps, values }, x, y, log, front) {
  let d = "";
  let pen = "M";
  for (let k = 0; k < steps.length; k++) {
    const v = values[k];
    if (!Number.isFinite(v) || (log && v <= 0) || steps[k] < 1) {
      pen = "M";
      continue;
    }
    d += `${pen}${x(Math.log(steps[k])).toFixed(1)} ${y(log ? Math.log(v) : v).toFixed(1)}`;
    pen = "L";
  }
  const kind = name.startsWith("train_") ? "train" : "test";
  return svg("path", { d, class: `line ${kind} ${front ? "front" : "back"}`, "data-run": i, "data-name": name });
}

function timesOf(result, i, x, y) {
  const parts = [];
  for (const [name, text] of TIMES) {
    const t = result.column(name)[i];
    if (t < 1) continue;
    const at = x(Math.log(t));
    // The words stand on both sides of the two lines, so that they never overlap.
    const before = name === "t_mem" ? at > PANEL.left + 40 : at > PANEL.width - 40;
    parts.push(svg("path", { class: `time ${name}`, d: `M${at} ${y.from}V${y.to - 4}`, "data-step": t }));
    parts.push(svg("text", { class: `time ${name}`, x: at + (before ? -2 : 2), y: y.to - 6, "text-anchor": before ? "end" : "start" }, text));
  }
  return parts;
}

// The values at the pointer, of the run in front.
function readAt(root, event, lines, x, readout) {
  if (lines.length === 0) return;
  const box = root.getBoundingClientRect();
  const at = ((event.clientX - box.left) / box.width) * PANEL.width;
  const wanted = Math.exp(x.low + ((at - x.from) / (x.to - x.from)) * (x.high - x.low));
  const { steps } = lines[0];
  let k = steps.findIndex((step) => step >= wanted);
  if (k < 0) k = steps.length - 1;
  const values = lines.map((line) => num(line.values[k])).join(" / ");
  readout.replaceChildren(`${values} at step ${count(steps[k])}`);
}
