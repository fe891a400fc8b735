// A small picture of a house with its lights down: the stage lit, every seat a point of its
// category's colour. Decoration for the list of performances; always dark, whatever the theme.

const GROUND = "#1d1618";
const LIGHT = "240, 217, 160";
const RATIO = 2;
const SHOWN_ROLES = new Set(["stage", "screen", "pitch"]);

/** Paints `plan` into `canvas` at its size on the page. */
export function paintPicture(canvas, plan) {
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = width * RATIO;
  canvas.height = height * RATIO;
  const context = canvas.getContext("2d");
  context.scale(RATIO, RATIO);
  context.fillStyle = GROUND;
  context.fillRect(0, 0, width, height);
  const scale = Math.min((width - 36) / plan.width, (height - 36) / plan.height);
  const [left, top] = [(width - plan.width * scale) / 2, (height - plan.height * scale) / 2];
  const at = (x, y) => [left + x * scale, top + y * scale];
  const reach = Math.max(plan.width, plan.height) * scale;
  shine(context, at(...plan.focal), reach * 0.85, width, height);
  for (const shape of plan.shapes) if (SHOWN_ROLES.has(shape.role)) paintStage(context, shape, at, scale);
  for (const area of plan.areas) {
    context.fillStyle = `${plan.categories[area.category].color}66`;
    path(context, area.polygon.map(([x, y]) => at(x, y)));
    context.fill();
  }
  for (const table of plan.tables) {
    context.fillStyle = "#4a3a2c";
    context.beginPath();
    context.ellipse(...at(table.x, table.y), (table.width / 2) * scale, (table.height / 2) * scale, 0, 0, 2 * Math.PI);
    context.fill();
  }
  paintSeats(context, plan, at, scale, reach);
}

function shine(context, [x, y], reach, width, height) {
  const light = context.createRadialGradient(x, y, 0, x, y, reach);
  light.addColorStop(0, `rgba(${LIGHT}, 0.34)`);
  light.addColorStop(0.4, `rgba(${LIGHT}, 0.1)`);
  light.addColorStop(1, `rgba(${LIGHT}, 0)`);
  context.fillStyle = light;
  context.fillRect(0, 0, width, height);
}

function paintStage(context, shape, at, scale) {
  context.save();
  context.translate(...at(shape.x, shape.y));
  context.rotate(((shape.rotation ?? 0) * Math.PI) / 180);
  context.scale(scale, scale);
  const { width = 0, height = 0 } = shape;
  if (shape.kind === "polygon") path(context, shape.points);
  else {
    context.beginPath();
    if (shape.kind === "rectangle") context.rect(0, 0, width, height);
    else context.ellipse(0, 0, width / 2, (height || width) / 2, 0, 0, 2 * Math.PI);
  }
  context.fillStyle = shape.role === "pitch" ? "#3c5a3f" : "#f0d9a0";
  context.fill();
  context.restore();
}

/** Seats near the stage catch its light. */
function paintSeats(context, plan, at, scale, reach) {
  const [focusX, focusY] = at(...plan.focal);
  const least = plan.count > 5000 ? 0.4 : 0.9;
  for (let seat = 0; seat < plan.count; seat += 1) {
    const [x, y] = at(plan.x[seat], plan.y[seat]);
    const near = Math.max(0, 1 - Math.hypot(x - focusX, y - focusY) / (reach * 0.9));
    context.globalAlpha = 0.55 + 0.45 * near;
    context.fillStyle = plan.categories[plan.category[seat]].color;
    const radius = Math.max(least, plan.radius[seat] * scale * 0.95);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
}

function path(context, points) {
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}
