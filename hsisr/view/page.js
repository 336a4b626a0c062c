"use strict";
// The numbers of the scene are in the JSON of #data; see hsisr/view/encoding.py and content.py.
const page = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const bands = page.overview.observed.shape[0];

/** A packed cube as {rows, cols, at(band, row, col)}; NaN where invalid. */
async function unpack(packed) {
  const text = atob(packed.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const [count, rows, cols] = packed.shape, size = rows * cols, total = count * size;
  const levels = new Uint16Array(total);
  for (let i = 0; i < total; i++) {
    const zigzag = planes[i] | (planes[total + i] << 8);
    levels[i] = ((zigzag >>> 1) ^ -(zigzag & 1)) + (i < size ? 0 : levels[i - size]);
  }
  const at = (band, row, col) => {
    const level = levels[band * size + row * cols + col];
    return level ? packed.low[band] + (level - 1) * packed.step[band] : NaN;
  };
  return { rows, cols, at };
}

/** Part of a cube; `top` and `left` pixels are left out. */
const cropped = (cube, top, left, rows, cols) =>
  ({ rows, cols, at: (band, row, col) => cube.at(band, row + top, col + left) });

/** Cubic convolution of the observed window, with the weights that hsisr itself uses. */
function bicubic(cube, [top, left], rows, cols, scale) {
  const weights = page.kernels[scale], reach = (weights[0].length - 1) / 2;
  const inside = (at, most) => Math.min(Math.max(at, 0), most - 1);
  const at = (band, row, col) => {
    const r = Math.floor(row / scale), c = Math.floor(col / scale);
    if (Number.isNaN(cube.at(band, r + top, c + left))) return NaN;
    let sum = 0, whole = 0;
    weights[row % scale].forEach((y, i) => weights[col % scale].forEach((x, j) => {
      const value = y && x ? cube.at(band, inside(r + top + i - reach, cube.rows), inside(c + left + j - reach, cube.cols)) : NaN;
      if (!Number.isNaN(value)) { sum += y * x * value; whole += y * x; }
    }));
    return sum / whole;
  };
  return { rows: rows * scale, cols: cols * scale, at };
}

/** A view: its layers, its place in the scene, HR pixels per LR pixel. */
async function openView(number) {
  if (number < 0) {
    const cube = await unpack(page.overview.observed);
    return { layers: [{ name: "observed", scale: 1, ...cube }], scale: 1, row: 0, col: 0, step: page.overview.step };
  }
  const window_ = page.windows[number], { rows, cols, context } = window_;
  const cube = await unpack(window_.observed);
  const layers = [{ name: "observed", scale: 1, ...cropped(cube, ...context, rows, cols) }];
  const scales = new Set();
  let uncertainty = null;
  for (const [i, finer] of window_.finer.entries()) {
    const own = { name: page.names[i], scale: finer.scale, ...await unpack(finer.cube) };
    if (finer.kind === "uncertainty") { uncertainty = own; continue; }
    if (finer.scale > 1 && !scales.has(finer.scale)) {
      scales.add(finer.scale);
      layers.push({ name: `bicubic, x${finer.scale}`, scale: finer.scale, ...bicubic(cube, context, rows, cols, finer.scale) });
    }
    layers.push(own);
  }
  const scale = Math.max(...layers.map((layer) => layer.scale));
  return { layers, scale, row: window_.row, col: window_.col, step: 1, uncertainty };
}

const state = { view: null, row: 0, col: 0, chart: null };

const nearest = (nm) => page.wavelengths.reduce(
  (best, value, band) => (good(band) && Math.abs(value - nm) < Math.abs(page.wavelengths[best] - nm) ? band : best),
  page.wavelengths.findIndex((_, band) => good(band)));
const good = (band) => !page.good || page.good[band] || !page.good.some(Boolean);
const bandName = (band) => page.wavelengths
  ? `${band + 1}: ${page.wavelengths[band].toFixed(0)} nm${good(band) ? "" : " (bad)"}` : `${band + 1}`;

/** Functions (layer, row, col) of the colours that are chosen: three, or one for a ratio. */
function channels() {
  const mode = element("colours").value;
  const chosen = ["red", "green", "blue"].map((id) => Number(element(id).value));
  if (mode === "ratio") {
    const [top, bottom] = chosen;
    return [(layer, row, col) => layer.at(top, row, col) / layer.at(bottom, row, col)];
  }
  const fixed = { natural: () => page.natural, infrared: () => [860, 650, 550].map(nearest) };
  const shown = mode in fixed ? fixed[mode]() : chosen;
  if (mode in fixed) ["red", "green", "blue"].forEach((id, i) => { element(id).value = shown[i]; });
  return shown.map((band) => (layer, row, col) => layer.at(band, row, col));
}

/** The 2nd and 98th percentile of the observed layer. */
function limits(channel) {
  const layer = state.view.layers[0], values = [];
  for (let row = 0; row < layer.rows; row++) for (let col = 0; col < layer.cols; col++) values.push(channel(layer, row, col));
  const sorted = Float64Array.from(values.filter(Number.isFinite)).sort();
  const at = (part) => sorted[Math.round(part * (sorted.length - 1))];
  return sorted.length ? [at(0.02), at(0.98)] : [0, 1];
}

function paint(canvas, layer, colours, ends) {
  canvas.width = layer.cols; canvas.height = layer.rows;
  const image = new ImageData(layer.cols, layer.rows);
  for (let row = 0, place = 0; row < layer.rows; row++) for (let col = 0; col < layer.cols; col++, place += 4) {
    for (let i = 0; i < 3; i++) {
      const [low, high] = ends[i % ends.length], value = colours[i % colours.length](layer, row, col);
      image.data[place + i] = Number.isFinite(value) ? (high > low ? 255 * (value - low) / (high - low) : 128) : 0;
    }
    image.data[place + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function draw() {
  const colours = channels(), ends = colours.map(limits);
  const [left, right] = ["left", "right"].map((id) => state.view.layers[element(id).value]);
  paint(element("under"), right, colours, ends);
  paint(element("over"), left, colours, ends);
  element("shown").textContent = ["view", "colours"].map((id) => element(id).selectedOptions[0].dataset.words).filter(Boolean).join("; ");
  element("name-left").textContent = left.name;
  element("name-right").textContent = right.name;
  element("viewer").setAttribute("aria-label", `Image of the scene. Left: ${left.name}. Right: ${right.name}. Arrow keys move the pixel.`);
  swipe();
}

function swipe() {
  const part = element("swipe").value;
  element("over").style.clipPath = `inset(0 ${100 - part}% 0 0)`;
  element("split").style.left = `${part}%`;
}

/** Places on the horizontal axis in rising order; null where a line must break. */
function axisOrder() {
  const x = page.wavelengths ?? Array.from({ length: bands }, (_, band) => band + 1);
  const order = [...x.keys()].sort((a, b) => x[a] - x[b]);
  const steps = order.slice(1).map((band, i) => x[band] - x[order[i]]).sort((a, b) => a - b);
  const usual = steps[steps.length >> 1] || 1, places = [];
  order.forEach((band, i) => {
    if (i && x[band] - x[order[i - 1]] > 5 * usual) places.push({ x: (x[band] + x[order[i - 1]]) / 2, band: null });
    places.push({ x: x[band], band, half: usual / 2 });
  });
  return places;
}
const places = axisOrder();

/** Names and values of the spectra at the pixel; `edges` are those around the uncertainty. */
function spectra() {
  const { view, row, col } = state;
  const at = (layer, band) => {
    const value = layer.at(band, Math.floor(row * layer.scale / view.scale), Math.floor(col * layer.scale / view.scale));
    return Number.isFinite(value) ? value : null;
  };
  const lines = view.layers.map((layer) => ({ name: layer.name, values: (band) => at(layer, band) }));
  if (view.uncertainty) {
    const result = view.layers.find((layer) => layer.scale === view.uncertainty.scale && !layer.name.startsWith("bicubic"));
    for (const sign of [1, -1]) lines.push({
      name: `${result.name} ${sign > 0 ? "+" : "\u2212"} uncertainty`, edge: true,
      values: (band) => { const [value, off] = [at(result, band), at(view.uncertainty, band)]; return value === null || off === null ? null : value + sign * off; },
    });
  }
  return lines.map((line) => ({ ...line, values: places.map(({ band }) => (band === null ? null : line.values(band))) }));
}

/** Shade bad bands behind the lines. */
function shadeBad(chart) {
  chart.ctx.fillStyle = colour("--shade");
  for (const { x, band, half } of places) if (band !== null && !good(band)) {
    const [from, to] = [x - half, x + half].map((edge) => Math.min(Math.max(chart.valToPos(edge, "x", true), chart.bbox.left), chart.bbox.left + chart.bbox.width));
    chart.ctx.fillRect(from, chart.bbox.top, to - from, chart.bbox.height);
  }
}

function plot() {
  const lines = spectra(), holder = element("spectrum"), dashes = [[], [6, 4], [], [2, 3], [10, 3]];
  const axes = { stroke: () => colour("--ink"), grid: { stroke: () => colour("--line"), width: 0.5 }, ticks: { stroke: () => colour("--line") } };
  const edges = lines.findIndex((line) => line.edge);
  state.chart?.destroy();
  state.chart = new uPlot({
    width: holder.clientWidth, height: 320, scales: { x: { time: false } },
    axes: [{ ...axes, label: page.wavelengths ? "wavelength, nm" : "band" }, { ...axes, size: 64, label: "value" }],
    series: [{ label: page.wavelengths ? "nm" : "band" }, ...lines.map((line, i) => ({
      label: line.name, stroke: () => (line.edge ? colour("--halo") : colour(`--s${i % 5}`)), width: line.edge ? 1 : 1.6,
      dash: line.edge ? [] : dashes[i % 5], points: { show: false },
    }))],
    bands: edges < 0 ? [] : [{ series: [edges + 1, edges + 2], fill: () => colour("--halo") }],
    hooks: { drawClear: [shadeBad] },
  }, [places.map(({ x }) => x), ...lines.map((line) => line.values)], holder);
  table(lines);
}

/** The spectra as a table, for screen readers and for copying. */
function table(lines) {
  element("values-head").replaceChildren(...["band", page.wavelengths ? "wavelength, nm" : null, ...lines.map((line) => line.name)]
    .filter(Boolean).map((words) => Object.assign(document.createElement("th"), { textContent: words, scope: "col" })));
  element("values").replaceChildren(...places.map(({ band, x }, place) => {
    if (band === null) return null;
    const row = document.createElement("tr");
    row.className = good(band) ? "" : "bad";
    const cells = [band + 1, ...(page.wavelengths ? [x.toFixed(2)] : []), ...lines.map((line) => line.values[place]?.toPrecision(5) ?? "no data")];
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }).filter(Boolean));
}

function select(row, col) {
  const { view } = state, finest = view.layers.reduce((a, b) => (b.rows > a.rows ? b : a));
  state.row = Math.min(Math.max(row, 0), finest.rows - 1);
  state.col = Math.min(Math.max(col, 0), finest.cols - 1);
  const mark = element("mark").style, percent = (part) => `${100 * part}%`;
  mark.left = percent((state.col + 0.5) / finest.cols); mark.top = percent((state.row + 0.5) / finest.rows);
  mark.width = percent(1 / finest.cols); mark.height = percent(1 / finest.rows);
  element("row").value = (view.row * view.scale + state.row) * view.step;
  element("col").value = (view.col * view.scale + state.col) * view.step;
  plot();
  const shown = Number(element("red").value), values = spectra().map((line) => {
    const value = line.values[places.findIndex(({ band }) => band === shown)];
    return `${line.name} ${value === null ? "no data" : value.toPrecision(4)}`;
  });
  element("told").textContent = `Row ${element("row").value}, column ${element("col").value}, band ${bandName(shown)}: ${values.join(", ")}.`;
}

async function show(number) {
  state.view = await openView(number);
  const { layers, scale, step } = state.view;
  for (const [id, chosen] of [["left", 0], ["right", layers.length - 1]]) {
    element(id).replaceChildren(...layers.map((layer, i) => new Option(layer.name, i)));
    element(id).value = chosen;
  }
  element("grid-name").textContent = step > 1 ? `counted in pixels of the observed scene, of which one here is ${step} x ${step}`
    : scale > 1 ? `counted from 0 on the grid of x${scale}` : "counted from 0";
  draw();
  select(layers[layers.length - 1].rows >> 1, layers[layers.length - 1].cols >> 1);
}

function listen() {
  const viewer = element("viewer"), typed = () => select(...["row", "col"].map((id) => {
    const { view } = state;
    return Math.floor(Number(element(id).value) / view.step) - view[id] * view.scale;
  }));
  element("view").addEventListener("change", (event) => show(Number(event.target.value)));
  for (const id of ["left", "right"]) element(id).addEventListener("change", draw);
  element("colours").addEventListener("change", () => {
    const own = ["bands", "ratio"].includes(element("colours").value);
    element("choose").hidden = !own;
    element("blue-label").hidden = element("colours").value === "ratio";
    element("red-label").firstChild.textContent = element("colours").value === "ratio" ? "Numerator" : "Red";
    element("green-label").firstChild.textContent = element("colours").value === "ratio" ? "Denominator" : "Green";
    draw();
  });
  for (const id of ["red", "green", "blue"]) {
    element(id).replaceChildren(...Array.from({ length: bands }, (_, band) => new Option(bandName(band), band)));
    element(id).addEventListener("change", draw);
  }
  element("swipe").addEventListener("input", swipe);
  for (const id of ["row", "col"]) element(id).addEventListener("change", typed);
  viewer.addEventListener("click", (event) => {
    const box = element("under").getBoundingClientRect(), finest = state.view.layers.reduce((a, b) => (b.rows > a.rows ? b : a));
    select(Math.floor((event.clientY - box.top) / box.height * finest.rows), Math.floor((event.clientX - box.left) / box.width * finest.cols));
  });
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  viewer.addEventListener("keydown", (event) => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [down, right] = moves[event.key].map((by) => by * (event.shiftKey ? state.view.scale : 1));
    select(state.row + down, state.col + right);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plot);
  addEventListener("resize", () => state.chart?.setSize({ width: element("spectrum").clientWidth, height: 320 }));
}

if (!page.wavelengths) element("colours").querySelector("[value=infrared]").remove();
listen();
show(page.windows.length ? 0 : -1).then(() => { document.documentElement.dataset.ready = "yes"; });
