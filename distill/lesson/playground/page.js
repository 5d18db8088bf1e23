"use strict";
// The playground's page: what is dragged and typed goes into the memory of the kernels (kernels.cpp), and what they
// compute is drawn. No formula of a loss stands here.
(() => {
const $ = id => document.getElementById(id);
const most = 10;  // logits are dragged from -most to most
const methods = [{name: "kd", colour: "c3", mark: "M0-6 6 5H-6Z"},
                 {name: "dkd", colour: "c4", mark: "M-5-5H5V5H-5Z"},
                 {name: "pcd", colour: "c6", mark: "M0-7 7 0 0 7-7 0Z"}];
const presets = {
  "the lesson's five": {names: ["cat", "dog", "car", "ship", "bird"], teacher: [6, 4, 1, 0, -1], student: [3, 2, 2, 0, 1]},
  "nearly agreed": {names: ["cat", "dog", "car", "ship", "bird"], teacher: [6, 4, 1, 0, -1], student: [6.2, 3.9, 1.1, -0.2, -1]},
  "nothing learned yet": {names: ["cat", "dog", "fox", "car", "van", "ship", "bird", "frog"],
                          teacher: [7, 4, 3.5, 0, -1, -2, 1, 0.5], student: [0.2, -0.1, 0.3, 0, -0.2, 0.1, 0, -0.3]},
  "sure, and wrong": {names: ["cat", "dog", "fox", "car", "van", "ship", "bird", "frog"],
                      teacher: [7, 4, 3.5, 0, -1, -2, 1, 0.5], student: [0, 1, 0, 6, 4, 1, -1, -2]},
  "one class apart": {names: ["cat", "dog", "fox", "car", "van", "ship", "bird", "frog", "deer", "horse", "lorry", "plane"],
                      teacher: [7, 4, 3.5, -1, -2, -2, 1, 0.5, 2.5, 2, -1.5, -2],
                      student: [7, 4, 3.5, -1, -2, -2, 1, 0.5, -3, 2, -1.5, -2]}};
const more_names = ["cat", "dog", "car", "ship", "bird", "frog", "deer", "horse", "lorry", "plane", "fox", "van"];

const state = {label: 0, tau: 4, stages: 3, alpha: 1, beta: 8, rate: 0.5};
let walks = null;  // per method the students that its steps lead to: {student, loss, gradient}, the start first
let kernels;

// ------------------------------------------------------------------------------------------------- the kernels

function bytes_of(id) {
  return Uint8Array.from(atob($(id).textContent.trim()), letter => letter.charCodeAt(0));
}
const view = (Type, at, count) => new Type(kernels.memory.buffer, at, count);
const classes = () => state.names.length;
const result = () => Array.from(view(Float64Array, kernels.result_at(), classes()));

function hand_over(student) {
  view(Float64Array, kernels.teacher_at(), classes()).set(state.teacher);
  view(Float64Array, kernels.student_at(), classes()).set(student);
}

function loss_of(method, student) {
  hand_over(student);
  const n = classes(), s = state;
  const loss = method === "kd" ? kernels.kd_loss(n, s.tau, s.alpha)
             : method === "dkd" ? kernels.dkd_loss(n, s.label, s.tau, s.alpha, s.beta)
                                : kernels.pcd_loss(n, s.stages, s.tau, s.alpha);
  return {student, loss, gradient: result()};
}

function softmax(of_teacher) {
  hand_over(state.student);
  kernels.softmax(of_teacher, classes(), state.tau);
  return result();
}

// Ranking, and per stage its groups: {first, count, kl, lambda, part}; parts are lambda KL.
function ranking() {
  const n = classes();
  hand_over(state.student);
  kernels.rank(n);
  const order = Array.from(view(Int32Array, kernels.order_at(), n)), stages = [];
  for (let k = 1; k <= state.stages; ++k) {
    stages.push(Array.from({length: k}, (_, g) => {
      const size = Math.floor(n / k), first = g * size, count = g + 1 < k ? size : n - first;
      const kl = kernels.group(first, count, state.tau, 0), part = kernels.group(first, count, state.tau, 1);
      return {first, count, kl, lambda: kl > 0 ? part / kl : 0, part};
    }));
  }
  return {order, stages};
}

// ---------------------------------------------------------------------------------------------------- drawing

function shown(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size < 1e-3 || size >= 1e5 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
  return text.replace("-", "−").replace("e−", "e−");
}
const percent = p => (100 * p).toFixed(p < 0.0995 ? 1 : 0);
const escaped = text => text.replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;"}[c]));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const rounded = (x, step) => Number((Math.round(x / step) * step).toFixed(4));

// The columns of all charts: one a class, below one another.
function columns(chart, height) {
  const width = Math.max(240, chart.clientWidth), left = 30, each = (width - left) / classes();
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.style.height = height + "px";
  return {width, left, each, middle: i => left + (i + 0.5) * each};
}

// Names below columns, slanted where they are narrow.
function names_below(c, y, order) {
  return order.map((k, i) => {
    const name = state.names[k], x = c.middle(i).toFixed(1);
    return name.length * 7.4 < c.each - 4 ? `<text x="${x}" y="${y}" text-anchor="middle">${escaped(name)}</text>`
      : `<text transform="translate(${x},${y - 6}) rotate(-50)" text-anchor="end">${escaped(name.length > 9 ? name.slice(0, 8) + "…" : name)}</text>`;
  }).join("");
}
const all_classes = () => state.names.map((_, i) => i);
const slanted = c => state.names.some(name => name.length * 7.4 >= c.each - 4);
const room_below = chart => slanted({each: (Math.max(240, chart.clientWidth) - 30) / classes()}) ? 56 : 22;

const logits_height = 250;
const y_of = z => 12 + (most - clamp(z, -most, most)) / (2 * most) * logits_height;
let handles = [];

// Handles are made once for a number of classes, so that they keep the focus while they move.
function make_logits() {
  const chart = $("logits");
  chart.innerHTML = "<g></g><g></g><g style='pointer-events:none'></g>";  // grid; handles; where steps led
  handles = [];
  for (const who of ["teacher", "student"]) {
    for (const i of all_classes()) {
      const handle = document.createElementNS("http://www.w3.org/2000/svg", "g");
      handle.setAttribute("class", "handle");
      handle.setAttribute("tabindex", "0");
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-orientation", "vertical");
      handle.setAttribute("aria-valuemin", -most);
      handle.setAttribute("aria-valuemax", most);
      handle.innerHTML = `<circle class="hit" r="20"/><circle class="dot ${who}" r="8"/>`;
      const move_to = z => { state[who][i] = rounded(clamp(z, -most, most), 0.1); $("preset").value = ""; changed(); };
      handle.addEventListener("pointerdown", event => {
        handle.setPointerCapture(event.pointerId);
        const box = chart.getBoundingClientRect();
        const off = event.clientY - box.top - y_of(state[who][i]);
        const drag = e => move_to(most - (e.clientY - chart.getBoundingClientRect().top - off - 12) / logits_height * 2 * most);
        handle.addEventListener("pointermove", drag);
        const drop = () => handle.removeEventListener("pointermove", drag);
        handle.addEventListener("pointerup", drop, {once: true});
        handle.addEventListener("pointercancel", drop, {once: true});
      });
      handle.addEventListener("keydown", event => {
        const by = {ArrowUp: 0.1, ArrowRight: 0.1, ArrowDown: -0.1, ArrowLeft: -0.1, PageUp: 1, PageDown: -1}[event.key];
        if (by) move_to(state[who][i] + by);
        else if (event.key === "Home") move_to(-most);
        else if (event.key === "End") move_to(most);
        else return;
        event.preventDefault();
      });
      chart.children[1].appendChild(handle);
      handles.push({handle, who, i});
    }
  }
}

function draw_logits() {
  const chart = $("logits"), below = room_below(chart), c = columns(chart, logits_height + 24 + below);
  let back = "", moved = "";
  for (const z of [-10, -5, 0, 5, 10])
    back += `<line class="${z ? "grid" : "axis"}" x1="${c.left}" x2="${c.width}" y1="${y_of(z)}" y2="${y_of(z)}"/>` +
            `<text class="tick" x="${c.left - 6}" y="${y_of(z) + 4}" text-anchor="end">${shown(z)}</text>`;
  const apart = Math.min(10, c.each / 5);
  for (const i of all_classes()) {
    const x = c.middle(i);
    back += `<line class="link" x1="${x - apart}" x2="${x + apart}" y1="${y_of(state.teacher[i])}" y2="${y_of(state.student[i])}"/>`;
    if (walks) methods.forEach((m, at) => {
      const path = walks[m.name], to = path[path.length - 1].student[i], mx = x + apart + (at - 1) * Math.min(9, c.each / 5);
      moved += `<g class="${m.colour}"><line class="thin strong" x1="${mx}" x2="${mx}" y1="${y_of(state.student[i])}" y2="${y_of(to)}"/>` +
              `<path class="mark" d="${m.mark}" transform="translate(${mx},${y_of(to)}) scale(.8)"/></g>`;
    });
  }
  chart.firstChild.innerHTML = back + names_below(c, logits_height + 20 + 18, all_classes());
  chart.children[2].innerHTML = moved;
  for (const {handle, who, i} of handles) {
    const z = state[who][i];
    handle.setAttribute("transform", `translate(${c.middle(i) + (who === "teacher" ? -apart : apart)},${y_of(z)})`);
    handle.setAttribute("aria-valuenow", z);
    handle.setAttribute("aria-label", `${who}, ${state.names[i]}`);
  }
  document.querySelector(".moved").hidden = !walks;
}

function draw_softmax(p, q) {
  const chart = $("softmax"), height = 130, c = columns(chart, height + 22 + room_below(chart));
  const top = Math.max(...p, ...q), wide = Math.min(26, c.each * 0.38);
  let drawing = `<line class="axis" x1="${c.left}" x2="${c.width}" y1="${height + 14}" y2="${height + 14}"/>`;
  all_classes().forEach(i => {
    const x = c.middle(i), bar = (value, from, kind) => {
      const h = value / top * (height - 14);
      drawing += `<rect class="${kind}" x="${from}" y="${height + 14 - h}" width="${wide}" height="${h}"/>`;
      if (c.each > 58) drawing += `<text class="tick" x="${from + wide / 2}" y="${height + 10 - h}" text-anchor="middle">${percent(value)}</text>`;
    };
    bar(p[i], x - wide - 1, "teacher");
    bar(q[i], x + 1, "student-bar");
  });
  chart.innerHTML = drawing + names_below(c, height + 32, all_classes());
  chart.setAttribute("aria-label", "In percent, teacher and student: " +
    state.names.map((name, i) => `${name} ${percent(p[i])} and ${percent(q[i])}`).join(", "));
}

function draw_groups({order, stages}) {
  const chart = $("groups"), below = room_below(chart), row = 34, head = 20;
  const c = columns(chart, head + stages.length * (row + 4) + below + 4);
  const total = stages.flat().reduce((sum, group) => sum + group.part, 0);
  const share = group => total > 0 ? group.part / total : 0, largest = Math.max(...stages.flat().map(share));
  let drawing = `<text class="tick" x="0" y="12">gap</text>`, rows = "";
  order.forEach((k, i) => {
    drawing += `<text class="tick" x="${c.middle(i)}" y="12" text-anchor="middle">${Math.abs(state.teacher[k] - state.student[k]).toFixed(1)}</text>`;
  });
  stages.forEach((groups, at) => {
    const y = head + at * (row + 4);
    drawing += `<text class="tick" x="${c.left - 8}" y="${y + row / 2 + 4}" text-anchor="end">${at + 1}</text>`;
    groups.forEach((group, g) => {
      const x = c.left + group.first * c.each, wide = group.count * c.each, strength = largest > 0 ? share(group) / largest : 0;
      const words = group.count === 1 ? "" : wide > 150 ? `λ ${shown(group.lambda)} · KL ${shown(group.kl)}` : wide > 62 ? `λ ${shown(group.lambda)}` : "";
      drawing += `<g><rect class="cell" style="fill-opacity:${(0.06 + 0.5 * strength).toFixed(3)}" x="${x}" y="${y}" width="${wide}" height="${row}" rx="6"/>` +
                 `<text class="inside" x="${x + wide / 2}" y="${y + row / 2 + 4}" text-anchor="middle">${words}</text>` +
                 `<title>stage ${at + 1}, group ${g + 1}: λ ${shown(group.lambda)}, KL ${shown(group.kl)}, ${percent(share(group))} % of the loss</title></g>`;
      const inside = order.slice(group.first, group.first + group.count).map(k => escaped(state.names[k])).join(", ");
      rows += `<tr><td class="n">${at + 1}</td><td class="n">${g + 1}</td><td class="n">${shown(group.lambda)}</td><td class="n">${shown(group.kl)}</td><td class="n">${percent(share(group))}</td><td>${inside}</td></tr>`;
    });
  });
  chart.innerHTML = drawing + names_below(c, head + stages.length * (row + 4) + 16, order);
  chart.setAttribute("aria-label", "Ranking: " + order.map(k => state.names[k]).join(", ") + ". Groups follow as a table.");
  $("group-table").tBodies[0].innerHTML = rows;
}

// Cards are made once, their numbers anew.
function make_cards() {
  $("cards").innerHTML = methods.map(m => `<div class="card"><h3><svg width="16" height="16" viewBox="-8 -8 16 16" style="display:inline;width:16px;vertical-align:-2px" class="${m.colour}" aria-hidden="true"><path class="mark" d="${m.mark}"/></svg> ${m.name}</h3>
    <p><span class="loss"></span> <span class="dim small from"></span></p><svg class="chart" role="img"></svg></div>`).join("");
}

function draw_cards(now) {
  [...$("cards").children].forEach((card, at) => {
    const name = methods[at].name, {loss, gradient} = now[name];
    card.querySelector(".loss").textContent = shown(loss);
    card.querySelector(".from").textContent = walks ? `after ${steps_of(walks[name].length - 1)}, from ${shown(walks[name][0].loss)}` : "";
    const chart = card.querySelector(".chart"), row = 20, width = Math.max(200, chart.clientWidth), left = 70, reach = (width - left - 100) / 2;
    const zero = left + 50 + reach, top = Math.max(...gradient.map(Math.abs)) || 1;
    chart.setAttribute("viewBox", `0 0 ${width} ${row * classes()}`);
    chart.style.height = row * classes() + "px";
    chart.innerHTML = gradient.map((g, i) => {
      const y = i * row, long = Math.abs(g) / top * reach, right = g >= 0;
      return `<text x="0" y="${y + 14}">${escaped(state.names[i].length > 10 ? state.names[i].slice(0, 9) + "…" : state.names[i])}</text>` +
        `<rect class="mark ${methods[at].colour}" style="color:var(--${methods[at].colour})" x="${right ? zero : zero - long}" y="${y + 3}" width="${long}" height="${row - 6}" rx="2"/>` +
        `<text class="tick" x="${right ? zero + long + 5 : zero - long - 5}" y="${y + 14}" text-anchor="${right ? "start" : "end"}">${shown(g)}</text>`;
    }).join("") + `<line class="axis" x1="${zero}" x2="${zero}" y1="0" y2="${row * classes()}"/>`;
    chart.setAttribute("aria-label", `Slope of ${name} by the student's logits: ` + gradient.map((g, i) => `${state.names[i]} ${shown(g)}`).join(", "));
  });
}

function draw_walk() {
  $("walk").hidden = !walks;
  if (!walks) return;
  const chart = $("walk-chart"), height = 170, width = Math.max(240, chart.clientWidth), left = 58, right = 40;
  chart.setAttribute("viewBox", `0 0 ${width} ${height + 40}`);
  chart.style.height = height + 40 + "px";
  const values = methods.flatMap(m => walks[m.name].map(at => at.loss)).filter(loss => loss > 1e-14 && Number.isFinite(loss));
  const low = Math.floor(Math.log10(Math.min(1, ...values))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1e-13, ...values))));
  const count = walks.kd.length - 1, x = i => left + (width - left - right) * i / Math.max(10, count);
  const y = loss => 10 + height * (high - clamp(Math.log10(Math.max(loss, 1e-15)), low, high)) / (high - low);
  let drawing = "";
  const every = Math.ceil((high - low) / 6);
  for (let e = high; e >= low; e -= every)
    drawing += `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(10 ** e)}" y2="${y(10 ** e)}"/><text class="tick" x="${left - 6}" y="${y(10 ** e) + 4}" text-anchor="end">${e >= -2 && e <= 3 ? shown(10 ** e) : "1e" + shown(e)}</text>`;
  for (let t = 0; t <= 5; ++t) {
    const i = Math.round(Math.max(10, count) * t / 5);
    drawing += `<text class="tick" x="${x(i)}" y="${height + 28}" text-anchor="middle">${i}</text>`;
  }
  const ends = methods.map(m => ({m, y: y(walks[m.name][count].loss)})).sort((a, b) => a.y - b.y);
  for (let i = 1; i < ends.length; ++i) ends[i].y = Math.max(ends[i].y, ends[i - 1].y + 14);
  for (const {m, y: at} of ends)
    drawing += `<g class="${m.colour}"><polyline class="thick" points="${walks[m.name].map((p, i) => x(i).toFixed(1) + "," + y(p.loss).toFixed(1)).join(" ")}"/>` +
      `<text class="name" style="fill:currentColor" x="${x(count) + 6}" y="${at + 4}">${m.name}</text></g>`;
  chart.innerHTML = drawing;
  chart.setAttribute("aria-label", methods.map(m => `${m.name} from ${shown(walks[m.name][0].loss)} to ${shown(walks[m.name][count].loss)}`).join(", "));
}

const steps_of = n => n === 1 ? "one step" : n + " steps";

function write_numbers(p, q, ranked, start) {
  const t = state.teacher.join(" "), s = state.student.join(" ");
  const said = (method, sets) => `retort loss --method ${method} ${sets.map(set => "--set " + set).join(" ")} \\\n  --teacher "${t}" --student "${s}"`;
  $("commands").textContent = [
    said("kd", [`temperature=${state.tau}`, `alpha=${state.alpha}`]),
    said("dkd", [`temperature=${state.tau}`, `alpha=${state.alpha}`, `beta=${state.beta}`]) + ` --labels ${state.label}`,
    said("pcd", [`temperature=${state.tau}`, `stages=${state.stages}`, `alpha=${state.alpha}`])].join("\n");
  const plain = ({loss, gradient}) => ({loss, gradient});
  const numbers = {teacher: state.teacher, student: state.student, label: state.label, temperature: state.tau, stages: state.stages,
                   alpha: state.alpha, beta: state.beta, p, q, order: ranked.order,
                   groups: ranked.stages.map(groups => groups.map(({kl, lambda}) => ({lambda, kl})))};
  for (const m of methods) numbers[m.name] = plain(start[m.name]);
  if (walks) numbers.steps = Object.fromEntries(methods.map(m => [m.name, walks[m.name].map(at => ({student: at.student, loss: at.loss}))]));
  $("numbers").textContent = JSON.stringify(numbers);
}

// ------------------------------------------------------------------------------------------------------ state

let asked = false;
function redraw() {
  asked = false;
  state.stages = Math.min(state.stages, classes());
  const p = softmax(1), q = softmax(0), ranked = ranking();
  const start = Object.fromEntries(methods.map(m => [m.name, loss_of(m.name, state.student)]));
  const now = walks ? Object.fromEntries(methods.map(m => [m.name, walks[m.name][walks[m.name].length - 1]])) : start;
  draw_logits();
  draw_softmax(p, q);
  draw_groups(ranked);
  draw_cards(now);
  draw_walk();
  $("losses-now").innerHTML = methods.map(m => `<span><span class="${m.colour}">${m.name}</span> <b>${shown(now[m.name].loss)}</b></span>`).join("");
  for (const name of ["tau", "stages", "alpha", "beta"]) {
    $(name).value = state[name];
    $(name + "-shown").textContent = state[name];
  }
  $("stages").max = classes();
  $("rate").value = Math.log10(state.rate);
  $("rate-shown").textContent = shown(state.rate);
  $("back").disabled = !walks;
  $("more").disabled = classes() >= kernels.most_classes_of();
  $("fewer").disabled = classes() <= 2;
  document.querySelector(".tau-here").textContent = state.tau;
  write_numbers(p, q, ranked, start);
}
function draw_soon() {
  if (!asked) requestAnimationFrame(redraw);
  asked = true;
}

// What was set or dragged: steps taken from another start or by other weights are void.
function changed() {
  walks = null;
  for (const input of document.querySelectorAll("#typed input[type=number]"))
    if (input !== document.activeElement) input.value = state[input.dataset.who][input.dataset.at];
  draw_soon();
  remember();
}

function names_changed() {
  $("label").innerHTML = state.names.map((name, i) => `<option value="${i}">${escaped(name)}</option>`).join("");
  $("label").value = state.label;
  draw_soon();
}

// Another set of classes.
function begin(names, teacher, student) {
  Object.assign(state, {names: [...names], teacher: [...teacher], student: [...student]});
  state.label = Math.min(state.label, names.length - 1);
  make_logits();
  $("typed").tBodies[0].innerHTML = names.map((name, i) =>
    `<tr><td><input type="text" maxlength="16" aria-label="name of class ${i + 1}" value="${escaped(name)}" data-at="${i}"></td>` +
    ["teacher", "student"].map(who => `<td><input type="number" step="any" min="-100" max="100" aria-label="${who}, class ${i + 1}" value="${state[who][i]}" data-who="${who}" data-at="${i}"></td>`).join("") + "</tr>").join("");
  names_changed();
  changed();
}

function step(count) {
  if (!walks) walks = Object.fromEntries(methods.map(m => [m.name, [loss_of(m.name, [...state.student])]]));
  for (const m of methods) {
    for (let i = 0; i < count; ++i) {
      const path = walks[m.name], {student, gradient} = path[path.length - 1];
      path.push(loss_of(m.name, student.map((z, k) => z - state.rate * gradient[k])));
    }
  }
  $("said").textContent = methods.map(m => `${m.name}: loss ${shown(walks[m.name][walks[m.name].length - 1].loss)}`).join(", ");
  redraw();
}

// The state is in the address, for a class to open the same.
let timer;
function remember() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const words = new URLSearchParams({names: state.names.join(","), teacher: state.teacher.join(","), student: state.student.join(","),
                                       label: state.label, tau: state.tau, stages: state.stages, alpha: state.alpha, beta: state.beta, rate: state.rate});
    try { history.replaceState(null, "", "#" + words); } catch (error) { /* a frame without an address */ }
  }, 400);
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const list = key => (words.get(key) || "").split(",").map(Number);
  const teacher = list("teacher"), student = list("student"), n = teacher.length;
  const number = (key, low, high) => {
    const value = Number(words.get(key));
    if (words.has(key) && value >= low && value <= high) state[key] = value;
  };
  number("tau", 0.1, 100);
  number("alpha", 0, 100);
  number("beta", 0, 100);
  number("rate", 1e-3, 100);
  const fits = n >= 2 && n <= kernels.most_classes_of() && student.length === n && [...teacher, ...student].every(Number.isFinite);
  if (fits) {
    number("label", 0, n - 1);
    number("stages", 1, n);
    state.label = Math.floor(state.label);
    state.stages = Math.floor(state.stages);
    const names = (words.get("names") || "").split(",");
    begin(teacher.map((_, i) => names[i] || "class " + i), teacher, student);
    $("preset").value = "";
  } else {
    const first = Object.values(presets)[0];
    begin(first.names, first.teacher, first.student);
    $("preset").selectedIndex = 1;
  }
  if (words.has("steps")) step(clamp(Math.floor(Number(words.get("steps"))) || 1, 1, 1000));
  if (words.has("figure")) sheet.drawn(Number(words.get("figure")) || 0, Number(words.get("seed")) || 0);
  if (words.get("tab") === "draw") choose_tab($("tab-draw"));
}

function choose_tab(tab) {
  for (const other of document.querySelectorAll("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (tab.id === "tab-losses") draw_soon();
}

// ------------------------------------------------------------------------------------------- a student at work

const side = 32;
const palette = [["white", "#ffffff"], ["yellow", "#f2c744"], ["red", "#dd4b39"], ["green", "#58b368"], ["blue", "#4a7fe0"],
                 ["violet", "#a05cc8"], ["grey", "#808080"], ["dark", "#2a2f3a"]];

const sheet = {
  colour: palette[0][1], past: [], seed: 1, logits: [], names: [], at: {x: 16, y: 16},

  pixels() { return view(Uint8Array, kernels.pixels_at(), side * side * 3); },
  show() {
    const context = $("sheet").getContext("2d"), picture = context.createImageData(side, side), pixels = this.pixels();
    for (let i = 0; i < side * side; ++i) picture.data.set([pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2], 255], 4 * i);
    context.putImageData(picture, 0, 0);
    if (document.activeElement === $("sheet") && this.by_keys) {
      context.strokeStyle = "#ff00ff";
      context.lineWidth = 1;
      context.strokeRect(clamp(this.at.x, 0, 31) - 0.5, clamp(this.at.y, 0, 31) - 0.5, 2, 2);
    }
    $("undo").disabled = !this.past.length;
    this.ask();
  },
  ask() {
    const from = performance.now(), status = kernels.predict(), took = performance.now() - from;
    if (status !== 0) throw new Error("the network answers with status " + status);
    this.logits = Array.from(view(Float32Array, kernels.logits_at(), this.names.length));
    kernels.soften(Number($("soft").value));
    const p = Array.from(view(Float32Array, kernels.probabilities_at(), this.names.length));
    const best = p.map((_, i) => i).sort((a, b) => p[b] - p[a]).slice(0, 8);
    $("answer").tBodies[0].innerHTML = best.map((k, i) => `<tr><td>${i ? escaped(this.names[k]) : "<b>" + escaped(this.names[k]) + "</b>"}</td><td class="n">${percent(p[k])} %</td><td><span class="bar" style="width:${(100 * p[k] / p[best[0]]).toFixed(1)}%"></span></td></tr>`).join("");
    $("best").textContent = `${this.names[best[0]]}, ${percent(p[best[0]])} %`;
    $("took").textContent = `The eight likeliest of ${this.names.length} classes; ${took < 1 ? "under one millisecond" : took.toFixed(0) + " ms"} for this image.`;
    $("soft-shown").textContent = $("soft").value;
    $("seen").textContent = JSON.stringify({pixels: Array.from(this.pixels()), logits: this.logits});
  },
  keep() {
    this.past.push(this.pixels().slice());
    if (this.past.length > 50) this.past.shift();
  },
  // A round brush, in pixels.
  dab(x, y) {
    const size = Number($("brush").value) / 2, pixels = this.pixels();
    const colour = [1, 3, 5].map(i => parseInt(this.colour.slice(i, i + 2), 16));
    for (let v = 0; v < side; ++v)
      for (let u = 0; u < side; ++u) {
        const cover = clamp(size + 0.5 - Math.hypot(u + 0.5 - x, v + 0.5 - y), 0, 1);
        for (let c = 0; c < 3 && cover > 0; ++c) {
          const i = 3 * (v * side + u) + c;
          pixels[i] = Math.round(pixels[i] + cover * (colour[c] - pixels[i]));
        }
      }
  },
  line(from, to) {
    const dabs = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y)));
    for (let i = 1; i <= dabs; ++i) this.dab(from.x + (to.x - from.x) * i / dabs, from.y + (to.y - from.y) * i / dabs);
  },
  empty() { this.pixels().fill(70); },
  drawn(figure, seed) {
    kernels.draw(seed, clamp(Math.floor(figure), 0, this.names.length - 1));
    $("figure").value = figure;
    this.show();
  },

  start() {
    const file = bytes_of("student"), at = kernels.file_at(file.length);
    view(Uint8Array, at, file.length).set(file);
    const status = kernels.load(at, file.length);
    if (status !== 0) throw new Error("the network does not load: status " + status);
    for (let i = 0; i < kernels.classes(); ++i) {
      const from = kernels.class_name(i), memory = new Uint8Array(kernels.memory.buffer);
      this.names.push(from ? new TextDecoder().decode(memory.slice(from, memory.indexOf(0, from))) : "class " + i);
    }
    $("figure").innerHTML = this.names.map((name, i) => `<option value="${i}">${escaped(name)}</option>`).join("");
    $("colours").innerHTML = palette.map(([name, colour], i) => `<button aria-label="${name}" title="${name}" aria-pressed="${!i}" style="background:${colour}" data-colour="${colour}"></button>`).join("");
    $("colours").addEventListener("click", event => {
      if (!event.target.dataset.colour) return;
      this.colour = event.target.dataset.colour;
      for (const button of $("colours").children) button.setAttribute("aria-pressed", button === event.target);
    });
    const canvas = $("sheet");
    const place = event => {
      const box = canvas.getBoundingClientRect();
      return {x: (event.clientX - box.left) / box.width * side, y: (event.clientY - box.top) / box.height * side};
    };
    let last = null;
    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      this.by_keys = false;
      this.keep();
      this.at = last = place(event);
      this.dab(last.x, last.y);
      this.show();
    });
    canvas.addEventListener("pointermove", event => {
      if (!last) return;
      const to = place(event);
      this.line(last, to);
      this.at = last = to;
      this.show();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
    canvas.addEventListener("keydown", event => {
      const by = {ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0]}[event.key];
      if (by) this.at = {x: clamp(Math.floor(this.at.x) + by[0], 0, side - 1), y: clamp(Math.floor(this.at.y) + by[1], 0, side - 1)};
      else if (event.key !== " ") return;
      event.preventDefault();
      this.by_keys = true;
      if (!by) {
        this.keep();
        this.dab(this.at.x + 0.5, this.at.y + 0.5);
      }
      this.show();
    });
    canvas.addEventListener("blur", () => { this.by_keys = false; this.show(); });
    $("undo").addEventListener("click", () => { this.pixels().set(this.past.pop()); this.show(); });
    $("clear").addEventListener("click", () => { this.keep(); this.empty(); this.show(); });
    const another = seed => { this.keep(); this.drawn(Number($("figure").value), seed); };
    $("figure").addEventListener("change", () => another(this.seed));
    $("figure-drawn").addEventListener("click", () => another(++this.seed));
    $("soft").addEventListener("input", () => this.ask());
    this.drawn(0, this.seed);
  }
};

// ------------------------------------------------------------------------------------------------------ begin

function listen() {
  $("preset").innerHTML = '<option value="" hidden>your own</option>' + Object.keys(presets).map(name => `<option>${escaped(name)}</option>`).join("");
  $("preset").addEventListener("change", () => { const p = presets[$("preset").value]; state.label = 0; begin(p.names, p.teacher, p.student); });
  for (const name of ["tau", "stages", "alpha", "beta"])
    $(name).addEventListener("input", () => { state[name] = Number($(name).value); changed(); });
  $("rate").addEventListener("input", () => { state.rate = Number((10 ** Number($("rate").value)).toPrecision(2)); changed(); });
  $("label").addEventListener("change", () => { state.label = Number($("label").value); changed(); });
  $("more").addEventListener("click", () =>
    begin([...state.names, more_names.find(name => !state.names.includes(name)) || "class " + classes()], [...state.teacher, 0], [...state.student, 0]));
  $("fewer").addEventListener("click", () => begin(state.names.slice(0, -1), state.teacher.slice(0, -1), state.student.slice(0, -1)));
  $("typed").addEventListener("input", event => {
    const {who, at} = event.target.dataset, value = Number(event.target.value);
    if (who) {
      if (event.target.value !== "" && Math.abs(value) <= 100) { state[who][at] = value; changed(); }
    } else {
      state.names[at] = event.target.value.replace(/,/g, " ") || "class " + at;
      names_changed();
      remember();
    }
  });
  $("step").addEventListener("click", () => step(1));
  $("steps").addEventListener("click", () => step(10));
  $("back").addEventListener("click", () => { walks = null; redraw(); $("step").focus(); });
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => choose_tab(tab));
    tab.addEventListener("keydown", event => {
      if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
      choose_tab(tabs[(i + 1) % tabs.length]);
      tabs[(i + 1) % tabs.length].focus();
    });
  });
  addEventListener("resize", draw_soon);
  addEventListener("hashchange", recall);
}

// What the kernels ask a system for: an environment, which is empty, and an end.
const system = {
  environ_sizes_get(count, size) { view(Uint32Array, count, 1)[0] = view(Uint32Array, size, 1)[0] = 0; return 0; },
  environ_get() { return 0; },
  proc_exit(code) { throw new Error("the kernels ended with " + code); }
};
WebAssembly.instantiate(bytes_of("kernels"), {wasi_snapshot_preview1: system}).then(({instance}) => {
  kernels = instance.exports;
  if (kernels._initialize) kernels._initialize();
  make_cards();
  listen();
  sheet.start();
  recall();
}).catch(error => {
  $("trouble").hidden = false;
  $("trouble").textContent = "The playground cannot compute here: " + error.message;
});
})();
