// The columns of a result: base64 of gzip of planes of bytes (packing.py).

async function unpacked(id) {
  const text = document.getElementById(id).textContent;
  const packed = bytesOfText(text);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function bytesOfText(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

// Each column with the place of its planes in the bytes.
function placed(layout, bytes) {
  const columns = new Map();
  let offset = 0;
  for (const column of layout) {
    columns.set(column.name, { ...column, offset, bytes });
    offset += column.planes * column.length;
  }
  return columns;
}

// Whole numbers [from, to) of a column.
function wholes(column, from, to) {
  const found = new Float64Array(to - from);
  for (let plane = column.planes - 1; plane >= 0; plane--) {
    const start = column.offset + plane * column.length + from;
    for (let i = 0; i < found.length; i++) {
      found[i] = found[i] * 256 + column.bytes[start + i];
    }
  }
  if (column.kind === "i") {
    for (let i = 0; i < found.length; i++) {
      found[i] = found[i] % 2 ? -(found[i] + 1) / 2 : found[i] / 2;
    }
  }
  return found;
}

function floats(column) {
  const { planes, length, offset, bytes } = column;
  const ordered = new Uint8Array(planes * length);
  for (let plane = 0; plane < planes; plane++) {
    const start = offset + plane * length;
    for (let i = 0; i < length; i++) ordered[i * planes + plane] = bytes[start + i];
  }
  return planes === 8 ? new Float64Array(ordered.buffer) : new Float32Array(ordered.buffer);
}

function numbersOf(column) {
  return column.kind === "f" ? floats(column) : wholes(column, 0, column.length);
}

// Differences from record to record, summed.
function summed(column, from, to) {
  const found = wholes(column, from, to);
  for (let i = 1; i < found.length; i++) found[i] += found[i - 1];
  return found;
}

// The float32 that short codes stand for: 12 binary digits and an exponent.
function longFloats(codes) {
  const bits = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    bits[i] = (Math.abs(codes[i]) * 4096 + (codes[i] < 0 ? 2 ** 31 : 0)) >>> 0;
  }
  return new Float32Array(bits.buffer);
}

// A result as the page reads it: its facts, and a function for each kind of number.
async function resultOf(facts, k) {
  const table = placed(facts.layouts.table, await unpacked(`table-${k}`));
  const cache = new Map();
  const column = (name) => {
    if (!cache.has(name)) {
      cache.set(name, table.has(name) ? numbersOf(table.get(name)) : null);
    }
    return cache.get(name);
  };
  const length = facts.planned ? facts.ids.length / facts.planned : 0;
  const axes = new Map(facts.axes.map((axis) => [axis.name, axis]));
  const result = { k, facts, axes, n: facts.planned, column, curves: null };
  result.id = (i) => facts.ids.slice(i * length, (i + 1) * length);
  result.values = (name) => valuesOf(result, cache, name);
  if (facts.surface) result.sure = numbersOf(placed(facts.layouts.surface, await unpacked(`surface-${k}`)).get("sure"));
  result.loadCurves = () => {
    result.loading ??= unpacked(`curves-${k}`).then((bytes) => {
      result.curves = curvesOf(facts, placed(facts.layouts.curves, bytes));
    });
    return result.loading;
  };
  return result;
}

// By run the value of an axis, a time, or a final quantity; NaN where there is none.
function valuesOf(result, cache, name) {
  const key = `values:${name}`;
  if (cache.has(key)) return cache.get(key);
  let found = null;
  if (result.axes.has(name)) {
    const { values, kind } = result.axes.get(name);
    const place = result.column(`axis:${name}`);
    found = place.map((p) => (p < 0 ? NaN : kind === "choice" ? p : values[p]));
  } else if (name === "delay_ratio") {
    const mem = result.values("t_mem");
    found = result.values("t_grok").map((t, i) => t / mem[i]);
  } else if (name.startsWith("t_")) {
    found = result.column(name).map((t) => (t < 0 ? NaN : t));
  } else {
    found = result.column(name) ?? result.column(`final:${name}`);
  }
  cache.set(key, found);
  return found;
}

// of(name, i): steps and values of one run; has(i): whether it has any.
function curvesOf(facts, columns) {
  const group = new Map();
  const starts = facts.curves.groups.map((names, g) => {
    names.forEach((name) => group.set(name, g));
    const counts = numbersOf(columns.get(`${g}:count`));
    const found = new Float64Array(counts.length + 1);
    for (let i = 0; i < counts.length; i++) found[i + 1] = found[i] + counts[i];
    return found;
  });
  const of = (name, i) => {
    const g = group.get(name);
    const [from, to] = [starts[g][i], starts[g][i + 1]];
    const steps = summed(columns.get(`${g}:step`), from, to);
    return { steps, values: longFloats(summed(columns.get(`${g}:${name}`), from, to)) };
  };
  return { of, names: [...group.keys()], has: (i) => starts[0][i + 1] > starts[0][i] };
}
