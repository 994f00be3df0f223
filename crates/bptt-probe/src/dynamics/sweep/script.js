// The pictures follow the slider. All numbers are those of the report, rounded; nothing is computed but places.
"use strict";
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const [slider, play] = [element("slider"), element("play")];
  const last = data.values.length - 1;

  // The place of a point, in tenths of a unit; as the page was drawn, far places are cut off.
  const near = (place) => Math.max(-1e4, Math.min(1e4, place)).toFixed(1);
  const place = ([x0, dx, y0, dy], x, y) => `${near(x0 + dx * x)} ${near(y0 + dy * y)}`;

  // A line with gaps where there is no number.
  const line = (frame, numbers) => {
    let joined = false;
    return numbers.map((y, x) => {
      const part = y === null ? "" : (joined ? "L" : "M") + place(frame, x, y);
      joined = y !== null;
      return part;
    }).join("");
  };
  const dot = (frame, x, y) => (y === null ? "" : `M${place(frame, x, y)}h0`);
  const number = (x) => (x === null ? "−∞" : x.toFixed(4).replace("-", "−"));

  const draw = (cell, k, at) => {
    const point = cell.points[at];
    const frames = data.frames;
    const largest = point.lyapunov[0];
    const steps = point.norms.length - 1;
    const path = (name, d) => element(`${name}-${k}`).setAttribute("d", d);
    path("norms", line(frames.norms, point.norms));
    path("slope", largest === null ? "" :
      `M${place(frames.norms, 0, 0)}L${place(frames.norms, steps, largest / Math.LN10 * steps)}`);
    const pairs = [];
    for (let i = 0; i < point.eigenvalues.length; i += 2) {
      pairs.push(dot(frames.eigenvalues, point.eigenvalues[i], point.eigenvalues[i + 1]));
    }
    path("eigenvalues", pairs.join(""));
    path("spectrum", point.lyapunov.map((y, i) => dot(frames.spectrum[k], i + 1, y)).join(""));
    element(`largest-${k}`).textContent = `${number(largest)} ± ${number(point.error)}`;
    element(`radius-${k}`).textContent = number(point.radius);
    element(`first-${k}`).textContent = number(largest);
    return `${cell.cell} ${number(largest)}`;
  };

  const show = () => {
    const at = Number(slider.value);
    const value = String(data.values[at]).replace("-", "−");
    const all = data.cells.map((cell, k) => draw(cell, k, at)).join(", ");
    element("value").textContent = value;
    const [x0, dx] = data.frames.overview;
    element("here").setAttribute("transform", `translate(${near(x0 + dx * data.values[at])} 0)`);
    slider.setAttribute("aria-valuetext", `${value}; largest exponents in nats per step: ${all}`);
  };

  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const next = () => {
    slider.value = Number(slider.value) + 1;
    show();
    if (Number(slider.value) === last) stop();
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === last) slider.value = 0;
    play.textContent = "Stop";
    timer = setInterval(next, 200);
    show();
  });
  slider.addEventListener("input", () => {
    stop();
    show();
  });

  // Without this script there is no slider to see, and the pictures stay as they were drawn.
  element("control").classList.add("on");
  show();
}
