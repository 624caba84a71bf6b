// From whatever was thrown to Lambda's error object, with the tenant's own files and lines.
const FRAMES_MAX = 50;
// What the prelude knows of an error beyond the error itself: { type, frame, layer }.
const details = new WeakMap();
// While the package is evaluated, a message starts with the place of the mistake.
let building = true;

// Frames as `at handler (index.mjs:3:11)`: the prelude's own left out, and with them whatever lies below the tenant's
// last frame, which is only how the prelude called it.
function framesOf(error) {
  const frames = [];
  let count = 0, own = 0;
  const stack = error.stack;
  const lines = typeof stack === "string" ? cut(stack, "\n") : [];
  for (let i = 0; i < lines.length && count < FRAMES_MAX; i++) {
    const line = trim(lines[i]);
    if (!startsWith(line, "at ") || indexOf(line, "sublet:") >= 0) continue;
    defineProperty(frames, count++, { value: line, enumerable: true, writable: true, configurable: true });
    if (!endsWith(line, "(native)")) own = count;
  }
  frames.length = own;
  traceBack(frames);
  return frames;
}

// `index.mjs:3:11` of a frame.
function placeOf(frame) {
  const open = lastIndexOf(frame, "(");
  return open < 0 ? slice(frame, 3) : slice(frame, open + 1, -1);
}

function describe(error) {
  if (!isError(error)) {
    let text;
    try { text = typeof error === "object" && error !== null ? show(error, 1, { length: 0 }) : GlobalString(error); } catch { text = "[value that cannot be shown]"; }
    return stringify({ errorType: typeof error, errorMessage: text, stackTrace: [] });
  }
  const known = weakGet(details, error);
  let type = "Error", message = "", frames = [];
  try { type = known?.type ?? GlobalString(error.name); } catch {}
  try { message = GlobalString(error.message); } catch {}
  try { frames = framesOf(error); } catch {}
  if (known?.frame !== undefined) frames = [known.frame];
  if (building && frames.length > 0) {
    // The last frame is the tenant's, so there is one that has a place.
    let own = 0;
    while (endsWith(frames[own], "(native)")) own++;
    message = `${placeOf(frames[own])}: ${message}`;
  }
  if (known?.layer !== undefined) message = `layer ${known.layer}: ${message}`;
  // Null prototypes: `toJSON` put on Object.prototype or Array.prototype must not speak for us.
  return stringify({ __proto__: null, errorType: type, errorMessage: message, stackTrace: plain(frames) });
}

function plain(frames) {
  defineProperty(frames, "toJSON", { value: undefined });
  return frames;
}

// An error whose type and place the prelude knows better than the engine.
function failure(type, message, frame) {
  const error = new GlobalError(message);
  weakSet(details, error, { type, frame });
  return error;
}
